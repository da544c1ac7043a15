// Package spire runs SPIRE's own upstream authority plugin "vault", unmodified, against the server
// under test.
package spire

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/spire/pkg/common/catalog"
	"github.com/spiffe/spire/pkg/server/plugin/upstreamauthority"
	"github.com/spiffe/spire/pkg/server/plugin/upstreamauthority/vault"
	"github.com/spiffe/spire/test/plugintest"
	"github.com/stretchr/testify/require"
)

var trustDomain = spiffeid.RequireTrustDomainFromString("example.org")

func environment(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set", name)
	}
	return value
}

func TestMintsACertificateAuthorityThreeTimes(t *testing.T) {
	var plugin upstreamauthority.V1
	var configured error
	plugintest.Load(t, vault.BuiltIn(), &plugin,
		plugintest.CoreConfig(catalog.CoreConfig{TrustDomain: trustDomain}),
		plugintest.CaptureConfigureError(&configured),
		plugintest.Configure(fmt.Sprintf(`vault_addr = %q
			pki_mount_point = %q
			token_auth { token = %q }`,
			environment(t, "SIGNET_ADDR"), environment(t, "SIGNET_MOUNT"), environment(t, "SIGNET_TOKEN"))))
	require.NoError(t, configured)

	serials := map[string]bool{}
	for round := 1; round <= 3; round++ {
		serials[mintOnce(t, &plugin, round)] = true
	}
	require.Len(t, serials, 3, "each CA has a serial number of its own")
}

// mintOnce prepares a CA as a SPIRE server does, signs an SVID with it, and writes root, chain and SVID
// as PEM files for other verifiers.
func mintOnce(t *testing.T, plugin *upstreamauthority.V1, round int) string {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{Country: []string{"US"}, Organization: []string{"SPIFFE"}, SerialNumber: fmt.Sprint(round)},
		URIs:    []*url.URL{trustDomain.ID().URL()},
	}, key)
	require.NoError(t, err)

	chain, roots, _, err := plugin.MintX509CA(ctx, request, time.Hour)
	require.NoError(t, err)
	require.NotEmpty(t, chain)
	require.NotEmpty(t, roots)
	authority := chain[0]
	require.True(t, authority.IsCA)
	require.Equal(t, []*url.URL{trustDomain.ID().URL()}, authority.URIs)
	require.True(t, key.PublicKey.Equal(authority.PublicKey))
	require.Zero(t, authority.KeyUsage&^(x509.KeyUsageCertSign|x509.KeyUsageCRLSign|x509.KeyUsageDigitalSignature))
	require.NotEmpty(t, authority.SubjectKeyId)
	require.NotEmpty(t, authority.AuthorityKeyId)
	require.WithinDuration(t, time.Now().Add(time.Hour), authority.NotAfter, 2*time.Minute)
	for _, root := range roots {
		require.Equal(t, root.Certificate.RawIssuer, root.Certificate.RawSubject, "the bundle holds roots only")
	}

	workload := spiffeid.RequireFromPath(trustDomain, fmt.Sprintf("/workload/%d", round))
	leaf := signWorkload(t, authority, key, workload)
	authorities := []*x509.Certificate{}
	for _, root := range roots {
		authorities = append(authorities, root.Certificate)
	}
	id, _, err := x509svid.Verify(append([]*x509.Certificate{leaf}, chain...),
		x509bundle.FromX509Authorities(trustDomain, authorities))
	require.NoError(t, err)
	require.Equal(t, workload, id)

	folder := environment(t, "SIGNET_OUTPUT")
	write(t, filepath.Join(folder, fmt.Sprintf("leaf-%d.pem", round)), leaf)
	write(t, filepath.Join(folder, fmt.Sprintf("chain-%d.pem", round)), chain...)
	write(t, filepath.Join(folder, fmt.Sprintf("roots-%d.pem", round)), authorities...)
	return authority.SerialNumber.String()
}

func signWorkload(t *testing.T, authority *x509.Certificate, authorityKey *ecdsa.PrivateKey, id spiffeid.ID) *x509.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		NotBefore:             time.Now().Add(-10 * time.Second),
		NotAfter:              time.Now().Add(10 * time.Minute),
		URIs:                  []*url.URL{id.URL()},
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}, authority, key.Public(), authorityKey)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return leaf
}

func write(t *testing.T, path string, certificates ...*x509.Certificate) {
	file, err := os.Create(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	for _, certificate := range certificates {
		require.NoError(t, pem.Encode(file, &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}))
	}
}
