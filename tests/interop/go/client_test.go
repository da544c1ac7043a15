// Package vaultapi uses the server under test with the Go client library that SPIRE, cert-manager,
// Terraform and consul-template share. Each test prepares its own mount.
package vaultapi

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

const workload = "spiffe://example.org/payments/api"

func newClient(t *testing.T) *api.Client {
	t.Helper()
	configuration := api.DefaultConfig()
	configuration.Address = os.Getenv("SIGNET_ADDR")
	configuration.MaxRetries = 0
	client, err := api.NewClient(configuration)
	check(t, err)
	client.SetToken(os.Getenv("SIGNET_TOKEN"))
	return client
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func text(t *testing.T, secret *api.Secret, field string) string {
	t.Helper()
	if secret == nil {
		t.Fatalf("no answer where %q was expected", field)
	}
	value, ok := secret.Data[field].(string)
	if !ok || value == "" {
		t.Fatalf("%q is %#v, not a string", field, secret.Data[field])
	}
	return value
}

func certificate(t *testing.T, text string) *x509.Certificate {
	t.Helper()
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || len(strings.TrimSpace(string(rest))) != 0 {
		t.Fatalf("not one certificate: %q", text)
	}
	parsed, err := x509.ParseCertificate(block.Bytes)
	check(t, err)
	return parsed
}

// mountWithRoot enables a PKI mount with a root and a role for one trust domain.
func mountWithRoot(t *testing.T, client *api.Client, path string) *x509.Certificate {
	t.Helper()
	check(t, client.Sys().Mount(path, &api.MountInput{
		Type: "pki", Description: "interop", Config: api.MountConfigInput{MaxLeaseTTL: "8760h"},
	}))
	t.Cleanup(func() { check(t, client.Sys().Unmount(path)) })
	root, err := client.Logical().Write(path+"/root/generate/internal", map[string]any{
		"common_name": "Example Root", "key_type": "ec", "key_bits": 256, "ttl": "8760h",
	})
	check(t, err)
	_, err = client.Logical().Write(path+"/roles/spiffe", map[string]any{
		"allowed_uri_sans": "spiffe://example.org/*", "require_cn": false, "key_type": "ec", "key_bits": 256,
		"ttl": "60m", "max_ttl": "60m",
	})
	check(t, err)
	return certificate(t, text(t, root, "certificate"))
}

func verify(t *testing.T, leaf, root *x509.Certificate) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(root)
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	check(t, err)
	if len(leaf.URIs) != 1 || leaf.URIs[0].String() != workload {
		t.Fatalf("URI SANs are %v", leaf.URIs)
	}
}

func TestReadsTheServerState(t *testing.T) {
	client := newClient(t)
	initialised, err := client.Sys().InitStatus()
	check(t, err)
	health, err := client.Sys().Health()
	check(t, err)
	seal, err := client.Sys().SealStatus()
	check(t, err)
	leader, err := client.Sys().Leader()
	check(t, err)
	if !initialised || !health.Initialized || health.Sealed || health.Standby || health.Version == "" {
		t.Fatalf("init %v, health %+v", initialised, health)
	}
	if !seal.Initialized || seal.Sealed || seal.Version != health.Version || seal.Type == "" {
		t.Fatalf("seal status %+v", seal)
	}
	if leader.HAEnabled && !leader.IsSelf {
		t.Fatalf("leader %+v", leader)
	}
}

func TestReadsItsOwnToken(t *testing.T) {
	client := newClient(t)
	self, err := client.Auth().Token().LookupSelf()
	check(t, err)
	policies, err := self.TokenPolicies()
	check(t, err)
	ttl, err := self.TokenTTL()
	check(t, err)
	renewable, err := self.TokenIsRenewable()
	check(t, err)
	if text(t, self, "id") != client.Token() || ttl != 0 || renewable || strings.Join(policies, " ") != "root" {
		t.Fatalf("token %+v", self.Data)
	}
}

func TestRefusesAnUnknownToken(t *testing.T) {
	client := newClient(t)
	client.SetToken("hvs.unknown")
	_, err := client.Auth().Token().LookupSelf()
	var response *api.ResponseError
	if !errors.As(err, &response) || response.StatusCode != http.StatusForbidden ||
		!strings.Contains(err.Error(), "permission denied") {
		t.Fatalf("got %v", err)
	}
}

// The root token does not expire and cannot be renewed: a watcher ends at once with this error.
func TestTheWatcherReportsThatTheRootTokenIsNotRenewable(t *testing.T) {
	client := newClient(t)
	for _, claimed := range []bool{false, true} {
		watcher, err := client.NewLifetimeWatcher(&api.LifetimeWatcherInput{
			Secret:        &api.Secret{Auth: &api.SecretAuth{ClientToken: client.Token(), Renewable: claimed}},
			RenewBehavior: api.RenewBehaviorErrorOnErrors,
		})
		check(t, err)
		go watcher.Start()
		select {
		case err := <-watcher.DoneCh():
			if claimed && (err == nil || !strings.Contains(err.Error(), "lease is not renewable")) ||
				!claimed && !errors.Is(err, api.ErrLifetimeWatcherNotRenewable) {
				t.Fatalf("ended with %v", err)
			}
		case renewal := <-watcher.RenewCh():
			t.Fatalf("renewed %+v", renewal.Secret.Auth)
		case <-time.After(10 * time.Second):
			t.Fatal("the watcher did not end")
		}
		watcher.Stop()
	}
}

func TestARenewalOfTheRootTokenIsAClientError(t *testing.T) {
	_, err := newClient(t).Auth().Token().RenewSelf(0)
	var response *api.ResponseError
	if !errors.As(err, &response) || response.StatusCode != http.StatusBadRequest ||
		strings.Join(response.Errors, " ") != "lease is not renewable" {
		t.Fatalf("got %v", err)
	}
}

func TestManagesMounts(t *testing.T) {
	client := newClient(t)
	check(t, client.Sys().Mount("interop/deep", &api.MountInput{Type: "pki", Config: api.MountConfigInput{}}))
	err := client.Sys().Mount("interop/deep", &api.MountInput{Type: "pki"})
	if err == nil || !strings.Contains(err.Error(), "path is already in use at interop/deep/") {
		t.Fatalf("mounted twice: %v", err)
	}
	check(t, client.Sys().TuneMount("interop/deep", api.MountConfigInput{MaxLeaseTTL: "8760h"}))
	tuned, err := client.Sys().MountConfig("interop/deep")
	check(t, err)
	if tuned.MaxLeaseTTL != 8760*3600 {
		t.Fatalf("max_lease_ttl is %d", tuned.MaxLeaseTTL)
	}
	mounts, err := client.Sys().ListMounts()
	check(t, err)
	mount := mounts["interop/deep/"]
	if mount == nil || mount.Type != "pki" || !strings.HasPrefix(mount.Accessor, "pki_") || mount.UUID == "" {
		t.Fatalf("mounts are %+v", mounts)
	}
	check(t, client.Sys().Unmount("interop/deep"))
	mounts, err = client.Sys().ListMounts()
	check(t, err)
	if _, still := mounts["interop/deep/"]; still {
		t.Fatal("the mount is still there")
	}
}

func TestIssuesReadsListsAndRevokes(t *testing.T) {
	client := newClient(t)
	root := mountWithRoot(t, client, "pki_issue")
	issued, err := client.Logical().Write("pki_issue/issue/spiffe", map[string]any{"uri_sans": workload, "ttl": "10m"})
	check(t, err)
	leaf := certificate(t, text(t, issued, "certificate"))
	verify(t, leaf, root)
	if !certificate(t, text(t, issued, "issuing_ca")).Equal(root) || text(t, issued, "private_key_type") != "ec" {
		t.Fatal("issuing CA or key type differ")
	}
	if expiration, ok := issued.Data["expiration"].(json.Number); !ok || expiration.String() == "0" {
		t.Fatalf("expiration is %#v, not a number", issued.Data["expiration"])
	}
	key, _ := pem.Decode([]byte(text(t, issued, "private_key")))
	private, err := x509.ParseECPrivateKey(key.Bytes)
	check(t, err)
	if !private.PublicKey.Equal(leaf.PublicKey) {
		t.Fatal("key and certificate do not match")
	}

	serial := text(t, issued, "serial_number")
	read, err := client.Logical().Read("pki_issue/cert/" + serial)
	check(t, err)
	if !certificate(t, text(t, read, "certificate")).Equal(leaf) {
		t.Fatal("another certificate was read back")
	}
	listed, err := client.Logical().List("pki_issue/certs")
	check(t, err)
	if !strings.Contains(strings.Join(keys(listed), " "), serial) {
		t.Fatalf("%s is not in %v", serial, keys(listed))
	}
	revoked, err := client.Logical().Write("pki_issue/revoke", map[string]any{"serial_number": serial})
	check(t, err)
	if _, ok := revoked.Data["revocation_time"].(json.Number); !ok {
		t.Fatalf("answered %+v", revoked.Data)
	}
	if !isOnCRL(t, client, "pki_issue", leaf, root) {
		t.Fatal("the revoked certificate is not on the CRL")
	}
}

func keys(secret *api.Secret) []string {
	all := []string{}
	if secret != nil {
		for _, key := range secret.Data["keys"].([]any) {
			all = append(all, key.(string))
		}
	}
	return all
}

func isOnCRL(t *testing.T, client *api.Client, mount string, leaf, root *x509.Certificate) bool {
	t.Helper()
	raw, err := client.Logical().ReadRawWithContext(context.Background(), mount+"/crl")
	check(t, err)
	defer raw.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(raw.Body)
	check(t, err)
	list, err := x509.ParseRevocationList(body.Bytes())
	check(t, err)
	check(t, list.CheckSignatureFrom(root))
	for _, entry := range list.RevokedCertificateEntries {
		if entry.SerialNumber.Cmp(leaf.SerialNumber) == 0 {
			return true
		}
	}
	return false
}

func TestSignsARequest(t *testing.T) {
	client := newClient(t)
	root := mountWithRoot(t, client, "pki_sign")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	id, err := url.Parse(workload)
	check(t, err)
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{}, URIs: []*url.URL{id}}, key)
	check(t, err)
	signed, err := client.Logical().Write("pki_sign/sign/spiffe", map[string]any{
		"csr": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request})),
	})
	check(t, err)
	leaf := certificate(t, text(t, signed, "certificate"))
	verify(t, leaf, root)
	if !key.PublicKey.Equal(leaf.PublicKey) || signed.Data["private_key"] != nil {
		t.Fatal("another key was certified, or one was returned")
	}
}

func TestNamesAreRefusedAsAClientError(t *testing.T) {
	client := newClient(t)
	mountWithRoot(t, client, "pki_refuse")
	for _, body := range []map[string]any{
		{"uri_sans": "spiffe://other.org/x"},
		{"common_name": "evil.example", "uri_sans": workload},
		{"uri_sans": workload, "ttl": "soon"},
	} {
		_, err := client.Logical().Write("pki_refuse/issue/spiffe", body)
		var response *api.ResponseError
		if !errors.As(err, &response) || response.StatusCode != http.StatusBadRequest || len(response.Errors) == 0 {
			t.Fatalf("%v: got %v", body, err)
		}
	}
}

func TestMissingEntriesAreNotErrors(t *testing.T) {
	client := newClient(t)
	mountWithRoot(t, client, "pki_absent")
	secret, err := client.Logical().Read("pki_absent/roles/missing")
	if secret != nil || err != nil {
		t.Fatalf("read %v, %v", secret, err)
	}
	_, err = client.Logical().Delete("pki_absent/roles/spiffe")
	check(t, err)
	secret, err = client.Logical().List("pki_absent/roles")
	if secret != nil || err != nil {
		t.Fatalf("listed %v, %v", secret, err)
	}
}

func TestPatchesARoleAndAnIssuer(t *testing.T) {
	client := newClient(t)
	mountWithRoot(t, client, "pki_patch")
	_, err := client.Logical().JSONMergePatch(context.Background(), "pki_patch/roles/spiffe", map[string]any{"max_ttl": "30m", "ttl": "10m"})
	check(t, err)
	role, err := client.Logical().Read("pki_patch/roles/spiffe")
	check(t, err)
	if role.Data["max_ttl"] != json.Number("1800") || role.Data["allowed_uri_sans"].([]any)[0] != "spiffe://example.org/*" {
		t.Fatalf("role is %+v", role.Data)
	}
	_, err = client.Logical().JSONMergePatch(context.Background(), "pki_patch/issuer/default", map[string]any{"issuer_name": "root-2026"})
	check(t, err)
	issuer, err := client.Logical().Read("pki_patch/issuer/root-2026")
	check(t, err)
	if text(t, issuer, "issuer_name") != "root-2026" {
		t.Fatalf("issuer is %+v", issuer.Data)
	}
}
