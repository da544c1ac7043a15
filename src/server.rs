//! The composition root: configuration in, running server out. It only connects.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::ca::role::TtlLimits;
use crate::ca::spiffe::SpiffeId;
use crate::clock::Clock;
use crate::config::{self, Checked, ListenerPurpose, SealConfig, SealKey, Storage, TlsVersion};
use crate::engine::sys::Status;
use crate::engine::{Engine, Env, Failure, Installation};
use crate::entropy::Entropy;
use crate::http::app::App;
use crate::http::body::BodyBudget;
use crate::http::limits::Limits;
use crate::http::listener::{Listener, Signals};
use crate::http::outgoing::SendBudget;
use crate::http::tls::{MinimumVersion, Tls, TlsError, TlsFiles, self_signed};
use crate::http::v1::Api;
use crate::secret::Secret;
use crate::store::sealed::StaticKey;
use crate::store::{Memory, Rocks, Sealed, StorageEngine, Store, sealed};

mod jobs;
mod process_file;

use process_file::ProcessFile;

/// A development server: it initialises itself and keeps everything in memory.
#[derive(Debug, Default)]
pub struct DevOptions {
    /// The root token; generated if `None`.
    pub root_token: Option<String>,
    /// Serve TLS with a generated certificate.
    pub tls: bool,
    /// The trust domain to prepare.
    pub trust_domain: Option<SpiffeId>,
}

/// The addresses and state of a server that is ready.
#[derive(Debug)]
pub struct ServerInfo {
    /// The addresses of the API that were bound.
    pub addresses: Vec<SocketAddr>,
    /// Does the first of them use TLS?
    pub tls: bool,
    /// The addresses that serve public files alone, and whether they use TLS.
    pub public: Vec<(SocketAddr, bool)>,
    /// The root token of a development server.
    pub root_token: Option<Secret<String>>,
    /// The certificate to trust, PEM, of a development server with TLS.
    pub trust: Option<String>,
    /// `false` until `signet operator init`.
    pub initialized: bool,
}

/// Why a server did not start. Each text names the fix.
#[derive(Debug)]
pub enum ServerError {
    /// The store cannot be opened.
    Store(String),
    /// The store cannot be unsealed, or its contents cannot be read.
    Start(String),
    /// A certificate or key cannot be used.
    Tls(TlsError),
    /// An address cannot be bound.
    Bind(SocketAddr, std::io::Error),
}

impl fmt::Display for ServerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(text) | Self::Start(text) => formatter.write_str(text),
            Self::Tls(error) => error.fmt(formatter),
            Self::Bind(address, error) => write!(
                formatter,
                "cannot listen on {address}: {error}; choose another address, or stop the program that has it"
            ),
        }
    }
}

impl std::error::Error for ServerError {}

const USED_STORE: &str = "-dev prepares a new store, and this one is initialized: start without -dev, or name an empty storage folder";

/// Runs until `stop` is signalled, then lets requests in flight finish.
///
/// # Errors
/// See [`ServerError`]; nothing is served in that case.
pub async fn run(
    config: Checked,
    development: Option<DevOptions>,
    announce: impl FnOnce(&ServerInfo),
    signals: Signals,
) -> Result<(), ServerError> {
    let clock = Clock::System;
    let entropy = Entropy::System;
    let engine = open_engine(&config, clock.clone(), entropy)?;
    let status = engine.start().await.map_err(|failure| start_error(&failure))?;
    log_store(&config, &status);
    let mut info = ServerInfo {
        addresses: Vec::new(),
        tls: false,
        public: Vec::new(),
        root_token: None,
        trust: None,
        initialized: status.initialized,
    };
    if let Some(development) = &development {
        if status.initialized {
            return Err(ServerError::Start(USED_STORE.to_owned()));
        }
        let token = prepare(&engine, development).await.map_err(|failure| start_error(&failure))?;
        info.root_token = Some(token);
        info.initialized = true;
    }
    let dev_tls = development.as_ref().is_some_and(|development| development.tls);
    let mut listeners = Vec::new();
    for listener in &config.listeners {
        let tls = match &listener.tls {
            Some(files) => Some(load_tls(files, &clock)?),
            None if dev_tls && listener.purpose == ListenerPurpose::Api => {
                let (tls, trust) = self_signed_tls(&clock)?;
                info.trust = Some(trust);
                Some(tls)
            }
            None => None,
        };
        let has_tls = tls.is_some();
        let limits = Limits::from(listener);
        let bound = Listener::bind(listener.address, tls.map(Arc::new), limits)
            .await
            .map_err(|error| ServerError::Bind(listener.address, error))?;
        log_listener(&bound, has_tls, listener.purpose);
        match listener.purpose {
            ListenerPurpose::Public => info.public.push((bound.address(), has_tls)),
            ListenerPurpose::Api => {
                info.tls |= has_tls && info.addresses.is_empty();
                info.addresses.push(bound.address());
            }
        }
        listeners.push((bound, limits, listener.purpose));
    }
    let _process_file = config.pid_file.as_deref().and_then(ProcessFile::write);
    announce(&info);
    drop(info);
    serve_and_run_jobs(listeners, &engine, signals).await;
    tracing::info!("server stopped");
    Ok(())
}

/// Logs the state of the store after the start.
fn log_store(config: &Checked, status: &Status) {
    let (seal, key_id) = match &config.seal {
        SealConfig::Ephemeral => ("ephemeral", None),
        SealConfig::Static { current, .. } => ("static", Some(current.id.as_str())),
    };
    match (status.initialized, status.sealed) {
        (false, _) => tracing::info!(seal, key_id, "store not initialized"),
        (true, false) => tracing::info!(seal, key_id, "store unsealed"),
        (true, true) => tracing::warn!(seal, key_id, "store sealed"),
    }
}

fn log_listener(listener: &Listener, tls: bool, purpose: ListenerPurpose) {
    let purpose = match purpose {
        ListenerPurpose::Api => "api",
        ListenerPurpose::Public => "public",
    };
    tracing::info!(address = %listener.address(), tls, purpose, "listener ready");
}

/// Serves and runs jobs until the server stops.
async fn serve_and_run_jobs(
    listeners: Vec<(Listener, Limits, ListenerPurpose)>,
    engine: &Arc<Engine>,
    signals: Signals,
) {
    let stop = signals.stop.clone();
    let jobs = tokio::spawn(jobs::run(Arc::clone(engine), stop.clone()));
    serve(listeners, engine, signals).await;
    // Every listener ended abnormally, so no signal ends the jobs.
    if !*stop.borrow() {
        jobs.abort();
    }
    if let Err(error) = jobs.await
        && !error.is_cancelled()
    {
        tracing::error!(%error, "the jobs ended abnormally");
    }
}

async fn serve(
    listeners: Vec<(Listener, Limits, ListenerPurpose)>,
    engine: &Arc<Engine>,
    signals: Signals,
) {
    let mut serving = JoinSet::new();
    let largest = listeners.iter().map(|(_, limits, _)| limits.body_size).max();
    let body_budget = BodyBudget::new(largest.unwrap_or_default());
    let api = Api::sharing(Arc::clone(engine), body_budget);
    let budget = SendBudget::default();
    for (listener, limits, purpose) in listeners {
        let app = Arc::new(match purpose {
            ListenerPurpose::Api => App::new(api.clone(), limits),
            ListenerPurpose::Public => App::public(api.clone(), limits),
        });
        let (listener, signals) = (listener.sharing(budget.clone()), signals.clone());
        serving.spawn(async move {
            // Boxed, since the future is moved several times.
            let handler = move |request: Request<Incoming>, connection| {
                let app = Arc::clone(&app);
                Box::pin(async move { app.serve(request, connection).await })
            };
            listener.serve(handler, signals).await
        });
    }
    while let Some(ended) = serving.join_next().await {
        match ended {
            Ok(drained) if drained.cut > 0 => {
                tracing::warn!(connections = drained.cut, "cut connections that did not finish");
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "a listener ended abnormally"),
        }
    }
}

/// The problems of the certificate and key of a listener, for [`config::examine`].
pub fn examine_tls(files: &config::ListenerTls) -> Vec<config::FileProblem> {
    let (files, minimum) = tls_files(files);
    crate::http::tls::examine(&files, minimum, Clock::System.now())
}

fn open_engine(
    config: &Checked,
    clock: Clock,
    entropy: Entropy,
) -> Result<Arc<Engine>, ServerError> {
    let (engine, storage_type): (StorageEngine, _) = match &config.storage {
        Storage::Inmem => (Memory::new().into(), "inmem"),
        Storage::Rocksdb { path } => {
            let store = Rocks::open(path, end_process)
                .map_err(|error| ServerError::Store(error.to_string()))?;
            (store.into(), "rocksdb")
        }
    };
    let sealed = Sealed::new(engine, seal(&config.seal, &entropy), entropy.clone());
    let seconds =
        |duration: std::time::Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    let installation = Installation {
        cluster_name: config.cluster_name.clone().filter(|name| !name.is_empty()),
        api_addr: config.api_addr.clone(),
    };
    let env = Env {
        store: Store::from(Arc::clone(&sealed)),
        sealed,
        clock,
        entropy,
        storage_type,
        lifetimes: TtlLimits {
            default: seconds(config.default_lease_ttl),
            max: seconds(config.max_lease_ttl),
        },
    };
    Ok(Engine::installed(env, installation))
}

/// A write failed and the state of the disk is unknown: no further request may be answered.
fn end_process(why: &str) {
    tracing::error!(why, "the store failed; the process ends so that nothing false is answered");
    std::process::abort();
}

fn seal(seal: &SealConfig, entropy: &Entropy) -> sealed::Seal {
    let key =
        |key: &SealKey| StaticKey { id: key.id.clone(), key: Secret::boxed(key.key.expose()) };
    match seal {
        SealConfig::Ephemeral => sealed::Seal::ephemeral(entropy),
        SealConfig::Static { current, previous } => {
            sealed::Seal::Static { current: key(current), previous: previous.as_ref().map(key) }
        }
    }
}

async fn prepare(
    engine: &Arc<Engine>,
    development: &DevOptions,
) -> Result<Secret<String>, Failure> {
    let now = engine.env().clock.now();
    let given = development.root_token.as_deref();
    let token = engine.initialize(None, given, now).await?;
    if let Some(domain) = &development.trust_domain {
        engine.prepare_trust_domain(domain, now).await?;
    }
    Ok(token)
}

fn load_tls(files: &config::ListenerTls, clock: &Clock) -> Result<Tls, ServerError> {
    let (files, minimum) = tls_files(files);
    Tls::load(files, minimum, clock.clone()).map_err(ServerError::Tls)
}

fn tls_files(files: &config::ListenerTls) -> (TlsFiles, MinimumVersion) {
    let minimum = match files.minimum {
        TlsVersion::Tls12 => MinimumVersion::Tls12,
        TlsVersion::Tls13 => MinimumVersion::Tls13,
    };
    (TlsFiles { certificate: files.certificate.clone(), key: files.key.clone() }, minimum)
}

fn self_signed_tls(clock: &Clock) -> Result<(Tls, String), ServerError> {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let pair = self_signed(&names, clock.now()).map_err(ServerError::Tls)?;
    let tls = Tls::from_pem(
        pair.certificate.as_bytes(),
        pair.key.expose().as_bytes(),
        MinimumVersion::Tls12,
        clock.clone(),
    )
    .map_err(ServerError::Tls)?;
    Ok((tls, pair.ca))
}

fn start_error(failure: &Failure) -> ServerError {
    ServerError::Start(failure.to_string())
}

/// Senders of the signals to a server.
#[derive(Debug)]
pub struct Controls {
    /// `true` stops the server.
    pub stop: watch::Sender<bool>,
    /// Any change makes it read its certificates again.
    pub reload: watch::Sender<u64>,
}

/// The two ends of the control channels: the controls for the caller that runs the server, the signals for [`run`].
pub fn control_channels() -> (Controls, Signals) {
    let (stop, stopped) = watch::channel(false);
    let (reload, reloaded) = watch::channel(0);
    (Controls { stop, reload }, Signals { stop: stopped, reload: reloaded })
}
