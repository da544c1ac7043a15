import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.CertPath;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertStore;
import java.security.cert.CertificateFactory;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.Collection;
import java.util.List;
import java.util.Set;

/**
 * Runs Java's path validation, with revocation by CRL, in each given folder: leaf.pem and revoked.pem
 * below intermediate.pem below root.pem, with root.crl and intermediate.crl. The exit code is 0 if
 * leaf.pem is valid and revoked.pem is revoked in every folder, and 1 otherwise.
 */
public final class ChainVerifier {
    private ChainVerifier() {}

    public static void main(String[] folders) throws Exception {
        boolean good = true;
        for (String name : folders) {
            Path folder = Path.of(name);
            String leaf = verify(folder, "leaf.pem");
            String revoked = verify(folder, "revoked.pem");
            boolean right = leaf.equals("valid") && revoked.equals("REVOKED");
            good &= right;
            System.out.println((right ? "ok " : "wrong ") + folder.getFileName() + ": leaf " + leaf + ", revoked leaf " + revoked);
        }
        System.exit(good ? 0 : 1);
    }

    private static String verify(Path folder, String leaf) throws Exception {
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        CertPath path = factory.generateCertPath(
                List.of(certificate(factory, folder.resolve(leaf)), certificate(factory, folder.resolve("intermediate.pem"))));
        PKIXParameters parameters =
                new PKIXParameters(Set.of(new TrustAnchor(certificate(factory, folder.resolve("root.pem")), null)));
        parameters.setRevocationEnabled(true);
        Collection<Object> lists = List.of(list(factory, folder.resolve("root.crl")), list(factory, folder.resolve("intermediate.crl")));
        parameters.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(lists)));
        try {
            CertPathValidator.getInstance("PKIX").validate(path, parameters);
            return "valid";
        } catch (CertPathValidatorException refused) {
            return refused.getReason() == CertPathValidatorException.BasicReason.REVOKED ? "REVOKED" : refused.toString();
        }
    }

    private static X509Certificate certificate(CertificateFactory factory, Path file) throws Exception {
        try (InputStream bytes = Files.newInputStream(file)) {
            return (X509Certificate) factory.generateCertificate(bytes);
        }
    }

    private static Object list(CertificateFactory factory, Path file) throws Exception {
        try (InputStream bytes = Files.newInputStream(file)) {
            return factory.generateCRL(bytes);
        }
    }
}
