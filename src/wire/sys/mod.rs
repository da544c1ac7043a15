//! The system: status, initialization and mounts.
//!
//! A member that another server leaves out reads as empty.

mod init;
mod mount;
mod status;

pub use init::{InitAnswer, InitRequest, InitStatus};
pub use mount::{
    AuthMountAnswer, EnableRequest, MountAnswer, MountAtPath, MountConfig, MountSettings,
    TuneAnswer, TuneRequest, VisibleMounts,
};
pub use status::{Health, Leader, SealStatus};
