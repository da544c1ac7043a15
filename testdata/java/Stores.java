// Loads key stores as a Java service does and says what it found.
//
// Standard input: one store a line, tab between: type, file, password (UTF-8 in hexadecimal).
// Standard output: one line a store: "ok", then each entry in alphabetical order of its alias:
// "key:ALIAS:CERTIFICATES" (the key has signed something that its certificate verified, and each
// certificate of the chain was verified with the next one) or "trusted:ALIAS"; or "failed", and
// the reason. The first line is the version of this Java.
//
// Written for Java 8 and newer.

import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.security.Key;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.util.Collections;
import java.util.TreeSet;

public class Stores {
    public static void main(String[] arguments) throws Exception {
        System.out.println(System.getProperty("java.specification.version"));
        BufferedReader lines =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] fields = line.split("\t", -1);
            try {
                System.out.println("ok" + describe(fields[0], fields[1], password(fields[2])));
            } catch (Exception fault) {
                System.out.println("failed " + fault);
            }
        }
    }

    static char[] password(String hexadecimal) {
        byte[] bytes = new byte[hexadecimal.length() / 2];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) Integer.parseInt(hexadecimal.substring(2 * i, 2 * i + 2), 16);
        }
        return new String(bytes, StandardCharsets.UTF_8).toCharArray();
    }

    static String describe(String type, String file, char[] password) throws Exception {
        KeyStore store = KeyStore.getInstance(type);
        try (InputStream input = new FileInputStream(file)) {
            store.load(input, password);
        }
        StringBuilder text = new StringBuilder();
        for (String alias : new TreeSet<>(Collections.list(store.aliases()))) {
            if (store.isKeyEntry(alias)) {
                Certificate[] chain = store.getCertificateChain(alias);
                prove(store.getKey(alias, password), chain);
                text.append(" key:").append(alias).append(':').append(chain.length);
            } else if (store.isCertificateEntry(alias)) {
                ((X509Certificate) store.getCertificate(alias)).checkValidity();
                text.append(" trusted:").append(alias);
            }
        }
        return text.toString();
    }

    static void prove(Key key, Certificate[] chain) throws Exception {
        String algorithm = key.getAlgorithm();
        Signature signature = Signature.getInstance(
                algorithm.equals("RSA") ? "SHA256withRSA"
                        : algorithm.equals("EC") ? "SHA256withECDSA" : "Ed25519");
        byte[] message = "a message".getBytes(StandardCharsets.US_ASCII);
        signature.initSign((PrivateKey) key);
        signature.update(message);
        byte[] signed = signature.sign();
        signature.initVerify(chain[0]);
        signature.update(message);
        if (!signature.verify(signed)) {
            throw new IllegalStateException("the key is not that of the certificate");
        }
        for (int i = 0; i + 1 < chain.length; i++) {
            chain[i].verify(chain[i + 1].getPublicKey());
        }
    }
}
