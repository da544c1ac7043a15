import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.CertificateException;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedTrustManager;

/**
 * One side of a mutual TLS connection between two workloads, in stock Java: it shows its own SVID
 * and accepts exactly one SPIFFE ID on the other side. Runs on Java 11 and newer without a build:
 *
 * <pre>
 *   java SpiffePeer.java serve              KEYSTORE TRUSTSTORE PASSWORD ACCEPTED-ID
 *   java SpiffePeer.java connect HOST:PORT  KEYSTORE TRUSTSTORE PASSWORD ACCEPTED-ID
 * </pre>
 *
 * KEYSTORE and TRUSTSTORE are PKCS#12 files; KEYSTORE may be "-": no certificate is shown.
 *
 * <p>serve prints "listening HOST:PORT" (a port that the system chose), then for each connection
 * "accepted ID" or "refused: REASON", until it is ended. connect says one line to the other side,
 * prints the line that comes back, and exits with 0; with 3 if it refused the other side, with 4 if
 * the other side refused it, with 1 for any other fault, with 2 for a wrong command line.
 */
public final class SpiffePeer {
    private static final int REFUSED_THE_PEER = 3;
    private static final int REFUSED_BY_THE_PEER = 4;
    private static final int TIMEOUT_MILLISECONDS = 20_000;
    private static final int URI_NAME = 6;

    private SpiffePeer() {}

    public static void main(String[] arguments) throws Exception {
        if (arguments.length == 5 && arguments[0].equals("serve")) {
            serve(context(arguments[1], arguments[2], arguments[3], arguments[4]));
        } else if (arguments.length == 6 && arguments[0].equals("connect")) {
            System.exit(connect(arguments[1], context(arguments[2], arguments[3], arguments[4], arguments[5])));
        } else {
            System.err.println("usage: SpiffePeer serve KEYSTORE TRUSTSTORE PASSWORD ACCEPTED-ID");
            System.err.println("       SpiffePeer connect HOST:PORT KEYSTORE TRUSTSTORE PASSWORD ACCEPTED-ID");
            System.exit(2);
        }
    }

    private static void serve(SSLContext context) throws IOException {
        InetAddress here = InetAddress.getLoopbackAddress();
        try (SSLServerSocket listener =
                (SSLServerSocket) context.getServerSocketFactory().createServerSocket(0, 16, here)) {
            listener.setNeedClientAuth(true);
            System.out.println("listening " + here.getHostAddress() + ":" + listener.getLocalPort());
            while (true) {
                try (SSLSocket connection = (SSLSocket) listener.accept()) {
                    connection.setSoTimeout(TIMEOUT_MILLISECONDS);
                    connection.startHandshake();
                    String peer = peerOf(connection);
                    String line = readLine(connection);
                    writeLine(connection, "you are " + peer + ", you said: " + line);
                    System.out.println("accepted " + peer);
                } catch (IOException | CertificateException refused) {
                    System.out.println("refused: " + reason(refused));
                }
            }
        }
    }

    private static int connect(String address, SSLContext context) throws Exception {
        int colon = address.lastIndexOf(':');
        String host = address.substring(0, colon);
        int port = Integer.parseInt(address.substring(colon + 1));
        try (SSLSocket connection = (SSLSocket) context.getSocketFactory().createSocket(host, port)) {
            connection.setSoTimeout(TIMEOUT_MILLISECONDS);
            try {
                connection.startHandshake();
                System.out.println("accepted " + peerOf(connection));
            } catch (SSLException | SocketException refused) {
                // The other side may judge our certificate while the rest of our flight is still
                // being written: then its end of the connection is gone before its alert is read.
                System.out.println("refused: " + reason(refused));
                return wasOurs(refused) ? REFUSED_THE_PEER : REFUSED_BY_THE_PEER;
            }
            // In TLS 1.3 a server judges the client only after the client's own handshake is done:
            // so its refusal comes when the answer is read.
            try {
                writeLine(connection, "hello");
                String answer = readLine(connection);
                System.out.println(answer);
            } catch (SSLException | SocketException refused) {
                System.out.println("refused by the other side: " + reason(refused));
                return REFUSED_BY_THE_PEER;
            }
            return 0;
        }
    }

    private static SSLContext context(String keyStore, String trustStore, String password, String accepted)
            throws GeneralSecurityException, IOException {
        KeyManager[] keys = new KeyManager[0];
        if (!keyStore.equals("-")) {
            KeyManagerFactory factory = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
            factory.init(load(keyStore, password), password.toCharArray());
            keys = factory.getKeyManagers();
        }
        TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
        factory.init(load(trustStore, password));
        X509ExtendedTrustManager chains = (X509ExtendedTrustManager) factory.getTrustManagers()[0];
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys, new TrustManager[] {new OneIdentity(chains, accepted)}, null);
        return context;
    }

    private static KeyStore load(String file, String password) throws GeneralSecurityException, IOException {
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream bytes = new FileInputStream(file)) {
            store.load(bytes, password.toCharArray());
        }
        if (store.size() == 0) {
            throw new KeyStoreException(file);
        }
        return store;
    }

    private static String peerOf(SSLSocket connection) throws IOException, CertificateException {
        return identityOf((X509Certificate) connection.getSession().getPeerCertificates()[0]);
    }

    /** The SPIFFE ID of an X.509-SVID: its one and only URI name. */
    private static String identityOf(X509Certificate certificate) throws CertificateException {
        List<String> names = new ArrayList<>();
        if (certificate.getSubjectAlternativeNames() != null) {
            for (List<?> name : certificate.getSubjectAlternativeNames()) {
                if (name.get(0).equals(URI_NAME)) {
                    names.add((String) name.get(1));
                }
            }
        }
        if (names.size() != 1) {
            throw new CertificateException("an SVID has one URI name, this certificate has " + names);
        }
        return names.get(0);
    }

    private static String readLine(Socket connection) throws IOException {
        BufferedReader reader =
                new BufferedReader(new InputStreamReader(connection.getInputStream(), StandardCharsets.UTF_8));
        String line = reader.readLine();
        if (line == null) {
            throw new SocketException("the other side closed the connection");
        }
        return line;
    }

    private static void writeLine(Socket connection, String line) throws IOException {
        OutputStream out = connection.getOutputStream();
        out.write((line + "\n").getBytes(StandardCharsets.UTF_8));
        out.flush();
    }

    private static boolean wasOurs(Throwable fault) {
        for (Throwable cause = fault; cause != null; cause = cause.getCause()) {
            if (cause instanceof CertificateException) {
                return true;
            }
        }
        return false;
    }

    private static String reason(Throwable fault) {
        Throwable cause = fault;
        while (cause.getCause() != null && cause.getCause() != cause) {
            cause = cause.getCause();
        }
        return cause.getMessage();
    }

    private static final class KeyStoreException extends IOException {
        private static final long serialVersionUID = 1;

        KeyStoreException(String file) {
            super(file + " shows no entry");
        }
    }

    /** Java's own judgement of the chain, then: is it exactly the identity that we expect? */
    private static final class OneIdentity extends X509ExtendedTrustManager {
        private final X509ExtendedTrustManager chains;
        private final String accepted;

        OneIdentity(X509ExtendedTrustManager chains, String accepted) {
            this.chains = chains;
            this.accepted = accepted;
        }

        private void check(X509Certificate[] chain) throws CertificateException {
            String identity = identityOf(chain[0]);
            if (!identity.equals(accepted)) {
                throw new CertificateException(identity + " is not " + accepted);
            }
        }

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket) throws CertificateException {
            chains.checkClientTrusted(chain, type, socket);
            check(chain);
        }

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket) throws CertificateException {
            chains.checkServerTrusted(chain, type, socket);
            check(chain);
        }

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine) throws CertificateException {
            chains.checkClientTrusted(chain, type, engine);
            check(chain);
        }

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine) throws CertificateException {
            chains.checkServerTrusted(chain, type, engine);
            check(chain);
        }

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type) throws CertificateException {
            chains.checkClientTrusted(chain, type);
            check(chain);
        }

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type) throws CertificateException {
            chains.checkServerTrusted(chain, type);
            check(chain);
        }

        @Override
        public X509Certificate[] getAcceptedIssuers() {
            return chains.getAcceptedIssuers();
        }
    }
}
