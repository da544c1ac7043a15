# One machine, the embedded store, TLS.
listener "tcp" {
  address         = "0.0.0.0:8200"
  tls_cert_file   = "/etc/signet/tls/server.pem"
  tls_key_file    = "/etc/signet/tls/server-key.pem"
  tls_min_version = "tls13"
}

storage "rocksdb" {
  path = "/var/lib/signet"
}

seal "static" {
  current_key_id  = "20310606-1"
  current_key     = "env://SIGNET_SEAL_KEY"
  previous_key_id = "20300606-1"
  previous_key    = "env://SIGNET_SEAL_KEY_BEFORE"
}

api_addr     = "https://signet.example.com:8200"
cluster_name = "signet"
log_level    = "info"
log_format   = "json"
pid_file     = "/run/signet/signet.pid"
