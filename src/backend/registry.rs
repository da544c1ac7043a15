//! Every kind of mount, and the paths of the built-in ones.

use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::MountId;
use crate::engine::mount::MountTable;
use crate::engine::pki::Pki;
use crate::engine::token::Tokens;

use super::kind::{Core, MountKind, Surface};

static SYSTEM: MountKind<Engine> = MountKind::new();
static TOKEN: MountKind<Tokens> = MountKind::new();
static PKI: MountKind<Pki> = MountKind::new();

/// Every kind of mount. A new kind is one line here and one in `engine::kinds`.
static KINDS: [&dyn Surface; 3] = [&SYSTEM, &TOKEN, &PKI];

/// The path of the system, and its identifier as a mount.
pub const SYSTEM_PATH: &str = "sys/";
const SYSTEM_MOUNT: MountId = MountId::new([0; 16]);

/// The path of the token routes, and their identifier as a mount.
pub const TOKEN_PATH: &str = "auth/token/";
const TOKEN_MOUNT: MountId = MountId::new([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

/// Every kind.
pub fn kinds() -> impl Iterator<Item = &'static dyn Surface> {
    KINDS.into_iter()
}

/// The kind of this type.
pub fn kind(name: &str) -> Option<&'static dyn Surface> {
    kinds().find(|kind| kind.kind() == name)
}

/// A mount that holds a path.
pub(super) struct ResolvedMount<'p> {
    pub(super) surface: &'static dyn Surface,
    pub(super) core: Core,
    pub(super) mount: MountId,
    /// The path behind the mount.
    pub(super) rest: &'p str,
}

/// The mount that holds this path.
pub(super) fn resolve<'p>(
    engine: &Arc<Engine>,
    mounts: &MountTable,
    path: &'p str,
) -> Option<ResolvedMount<'p>> {
    if let Some(rest) = path.strip_prefix(SYSTEM_PATH) {
        let core: Core = Arc::<Engine>::clone(engine);
        return Some(ResolvedMount { surface: &SYSTEM, core, mount: SYSTEM_MOUNT, rest });
    }
    if let Some(rest) = path.strip_prefix(TOKEN_PATH) {
        let core: Core = Arc::<Tokens>::clone(engine.tokens());
        return Some(ResolvedMount { surface: &TOKEN, core, mount: TOKEN_MOUNT, rest });
    }
    let (mount, rest) = mounts.resolve(path)?;
    let core: Core = mount.shared_core();
    Some(ResolvedMount {
        surface: kind(&mount.entry.record.kind)?,
        core,
        mount: mount.entry.id,
        rest,
    })
}
