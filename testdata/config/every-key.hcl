/* Every key there is, as the manual lists them. */
api_addr = "https://ca.example.com/"
cluster_name = "everything"
default_lease_ttl = "24h"
max_lease_ttl = 2592000
log_level = "Debug"
log_format = "standard"
pid_file = "/run/signet.pid"
disable_mlock = true
ui = "false"

listener "tcp" {
  address = "[::1]:8200"
  tls_cert_file = "server.pem"
  tls_key_file = "server-key.pem"
  tls_disable = 0
  tls_min_version = "tls12"
  max_request_size = 1048576
  max_request_header_size = 16384
  max_request_duration = "30s"
  max_connections = 100
  http_read_header_timeout = "5s"
  http_idle_timeout = "1m30s"
  tls_handshake_timeout = "5s"
  shutdown_timeout = "10s"
}
listener "tcp" { address = "localhost:8201", tls_disable = 1 } // for the machine itself
listener "tcp" { address = ":8202", purpose = "public" } // revocation lists

storage "rocksdb" { path = "/var/lib/signet" }

seal "static" {
  current_key = "env://SIGNET_SEAL_KEY"
  current_key_id = "1"
  previous_key = "env://SIGNET_SEAL_KEY_BEFORE"
  previous_key_id = "0"
}
