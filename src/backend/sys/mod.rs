//! `sys/`: the state of the process, initialising, and the mounts.

mod mounts;
mod openapi;
mod status;

use crate::engine::Engine;

use super::kind::Backend;
use super::table::{Route, handler};

pub use status::VERSION;

impl Backend for Engine {
    const TYPE: &'static str = "system";

    const HELP: &'static str = "The system itself: its state, its initialisation and its mounts.";

    const ROUTES: &'static [Route<Self>] = &[
        Route::read("health", handler!(status::health))
            .public()
            .when_sealed()
            .takes(&[status::Codes::FIELDS])
            .help("Tells whether the server is initialized, unsealed and ready."),
        Route::read("seal-status", handler!(status::seal_status))
            .public()
            .when_sealed()
            .help("Tells whether the store is sealed, and how it is opened."),
        Route::read("leader", handler!(status::leader))
            .public()
            .when_sealed()
            .help("Tells the address of the active server."),
        Route::read("init", handler!(status::initialized))
            .public()
            .when_sealed()
            .help("Tells whether the store is initialized."),
        Route::update("init", handler!(status::init))
            .public()
            .when_sealed()
            .takes(&[status::Init::FIELDS])
            .help("Initializes the store and answers once with the root token."),
        Route::read("mounts", handler!(mounts::list)).help("Lists every mount."),
        Route::read("mounts/{path:path}", handler!(mounts::read)).help("Reads one mount."),
        Route::update("mounts/{path:path}", handler!(mounts::enable))
            .takes(&[mounts::Enable::FIELDS])
            .help("Mounts a secrets engine."),
        Route::delete("mounts/{path:path}", handler!(mounts::disable))
            .help("Disables a mount and deletes everything in it."),
        Route::read("mounts/{path:path}/tune", handler!(mounts::tuned))
            .help("Reads the settings of a mount."),
        Route::update("mounts/{path:path}/tune", handler!(mounts::tune))
            .takes(&[mounts::Tune::FIELDS])
            .help("Changes the settings of a mount."),
        Route::read("internal/ui/mounts", handler!(mounts::visible))
            .help("Lists the mounts that the caller may see."),
        Route::read("internal/ui/mounts/{path:path}", handler!(mounts::preflight))
            .help("Tells which mount holds a path."),
        Route::read("internal/specs/openapi", handler!(openapi::document))
            .help("Describes every route of every mount as an OpenAPI document."),
    ];
}
