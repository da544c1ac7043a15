//! Sets that replace each other, and what is not ours.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn set(entries: &[(&'static str, &str)]) -> Vec<NamedFile> {
    entries.iter().map(|(name, text)| (*name, Zeroizing::new(text.as_bytes().to_vec()))).collect()
}

fn replace(folder: &Path, entries: &[NamedFile]) -> io::Result<Vec<&'static str>> {
    super::replace(folder, &NewSet { files: entries.to_vec(), ..NewSet::default() })
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

fn visible_and_hidden(folder: &Path) -> (Vec<String>, usize) {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    let hidden = names.iter().filter(|name| name.starts_with(".set-")).count();
    let mut names: Vec<_> = names.into_iter().filter(|name| !name.starts_with('.')).collect();
    names.sort();
    (names, hidden)
}

#[test]
fn a_new_set_replaces_the_old_one_and_the_old_key_is_gone() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("out");
    replace(&folder, &set(&[("svid.pem", "one"), ("key.pem", "k1")])).unwrap();
    replace(&folder, &set(&[("svid.pem", "two"), ("key.pem", "k2")])).unwrap();
    assert_eq!((read(&folder, "svid.pem"), read(&folder, "key.pem")), ("two".into(), "k2".into()));
    assert_eq!(visible_and_hidden(&folder), (vec!["key.pem".into(), "svid.pem".into()], 1));
}

#[test]
fn only_its_owner_can_read_a_set() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("out");
    replace(&folder, &set(&[("key.pem", "k")])).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join(CURRENT)), 0o700);
    assert_eq!(mode(&folder.join("key.pem")), 0o600);
}

#[test]
fn a_set_of_other_names_takes_the_old_names_away() {
    let root = tempfile::tempdir().unwrap();
    replace(root.path(), &set(&[("svid.pem", "one"), ("key.pem", "k1")])).unwrap();
    replace(root.path(), &set(&[("keystore.p12", "p")])).unwrap();
    assert_eq!(visible_and_hidden(root.path()), (vec!["keystore.p12".into()], 1));
}

#[test]
fn a_plain_file_of_the_same_name_becomes_a_link_and_other_files_stay() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("key.pem"), "old").unwrap();
    fs::write(root.path().join("notes.txt"), "mine").unwrap();
    replace(root.path(), &set(&[("key.pem", "new")])).unwrap();
    assert_eq!(read(root.path(), "key.pem"), "new");
    assert_eq!(read(root.path(), "notes.txt"), "mine");
}

#[test]
fn a_set_that_cannot_be_written_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    replace(root.path(), &set(&[("svid.pem", "one"), ("key.pem", "k1")])).unwrap();
    // The same name twice: the second cannot be created.
    let broken = set(&[("svid.pem", "two"), ("svid.pem", "two")]);
    assert!(replace(root.path(), &broken).is_err());
    assert_eq!(read(root.path(), "svid.pem"), "one");
    assert_eq!(visible_and_hidden(root.path()), (vec!["key.pem".into(), "svid.pem".into()], 1));
}

#[test]
fn a_folder_that_is_not_ours_is_never_removed() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("theirs")).unwrap();
    symlink("theirs", root.path().join(CURRENT)).unwrap();
    replace(root.path(), &set(&[("key.pem", "k")])).unwrap();
    assert!(root.path().join("theirs").is_dir());
}

const PEM: [&str; 2] = ["svid.pem", "key.pem"];

fn foreign(folder: &Path, force: bool) -> Result<Vec<PathBuf>, String> {
    let plan = ReplacementPlan::make(folder, &PEM, force).map_err(|refusal| refusal.to_string())?;
    Ok(plan.foreign().iter().map(|path| path.strip_prefix(folder).unwrap().to_owned()).collect())
}

#[test]
fn our_own_files_are_known_again_and_files_with_other_names_are_let_be() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    fs::write(folder.join("keystore.p12"), "a name that this set does not write").unwrap();
    assert_eq!(foreign(folder, false), Ok(vec![]));
    replace(folder, &set(&[("svid.pem", "one"), ("key.pem", "k1")])).unwrap();
    assert_eq!(foreign(folder, false), Ok(vec![]));
    // A set of a version that kept no digests.
    fs::remove_file(folder.join(CURRENT).join(SUMS)).unwrap();
    assert_eq!(foreign(folder, false), Ok(vec![]));
}

#[test]
fn what_is_not_ours_is_refused_unless_forced() {
    type Make = fn(&Path);
    let cases: [(&str, Make); 5] = [
        ("key.pem", |folder| fs::write(folder.join("key.pem"), "mine").unwrap()),
        ("key.pem", |folder| symlink("/etc/hostname", folder.join("key.pem")).unwrap()),
        ("svid.pem", |folder| symlink("nowhere", folder.join("svid.pem")).unwrap()),
        (".current", |folder| symlink("theirs", folder.join(CURRENT)).unwrap()),
        // Through the links, as `cp mine.pem out/key.pem` writes.
        ("key.pem", |folder| {
            replace(folder, &set(&[("svid.pem", "one"), ("key.pem", "k1")])).unwrap();
            fs::write(folder.join("key.pem"), "mine").unwrap();
        }),
    ];
    for (name, make) in cases {
        let root = tempfile::tempdir().unwrap();
        make(root.path());
        let refusal = foreign(root.path(), false).unwrap_err();
        assert!(refusal.contains(name) && refusal.contains("-force"), "{name}: {refusal}");
        assert_eq!(foreign(root.path(), true), Ok(vec![name.into()]), "{name}");
    }
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("key.pem")).unwrap();
    for force in [false, true] {
        assert!(foreign(root.path(), force).unwrap_err().contains("is a folder"));
    }
}

#[test]
fn what_lies_beside_a_set_in_its_folder_stays() {
    let root = tempfile::tempdir().unwrap();
    replace(root.path(), &set(&[("key.pem", "k1")])).unwrap();
    let old = root.path().join(fs::read_link(root.path().join(CURRENT)).unwrap());
    fs::write(old.join("notes.txt"), "mine").unwrap();
    replace(root.path(), &set(&[("key.pem", "k2")])).unwrap();
    assert_eq!(fs::read_to_string(old.join("notes.txt")).unwrap(), "mine");
    assert!(!old.join("key.pem").exists());
}

/// Mode of a file of the set in use.
fn mode(folder: &Path, name: &str) -> u32 {
    fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_mode_is_for_the_private_key_and_the_certificates_are_for_every_user() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("out");
    let access = FileAccess::read(Some("0640"), None).unwrap();
    let files = set(&[("svid.pem", "one"), ("key.pem", "k1"), ("bundle.pem", "b")]);
    super::replace(&folder, &NewSet { files, access, ..NewSet::default() }).unwrap();
    let modes = ["key.pem", "svid.pem", "bundle.pem"].map(|name| mode(&folder, name));
    assert_eq!(modes, [0o640, 0o644, 0o644]);
    assert_eq!(mode(&folder, CURRENT), 0o755);
    for name in [SUMS, REQUEST] {
        assert_eq!(mode(&folder.join(CURRENT), name), 0o600, "{name}");
    }
    assert!(CurrentSet::read(&folder, access).is_some());
    // Another mode than that of the set, and a mode that was changed since.
    let other = FileAccess::read(Some("0600"), None).unwrap();
    assert!(CurrentSet::read(&folder, other).is_none());
    fs::set_permissions(folder.join("svid.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(CurrentSet::read(&folder, access).is_none());
}

/// A process that is killed between the writing of its set and the rename of `.current`.
#[test]
fn a_run_that_is_killed_before_the_rename_leaves_the_old_set_in_use() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    replace(folder, &set(&[("svid.pem", "one"), ("key.pem", "k1")])).unwrap();
    let killed = NewSet {
        files: set(&[("svid.pem", "two"), ("key.pem", "k2")]),
        has_command: true,
        ..NewSet::default()
    };
    write_all(&folder.join(".set-00000000-0000-0000-0000-000000000001"), &killed).unwrap();
    let current = CurrentSet::read(folder, FileAccess::default()).unwrap();
    assert_eq!(current.file("svid.pem"), Some(&b"one"[..]));
    assert_eq!((read(folder, "key.pem"), current.command_pending), ("k1".into(), false));
    assert_eq!(foreign(folder, false), Ok(vec![]));
    replace(folder, &set(&[("svid.pem", "three"), ("key.pem", "k3")])).unwrap();
    assert_eq!(read(folder, "svid.pem"), "three");
}

#[test]
fn a_set_is_read_back_whole_or_not_at_all() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 7] = [
        ("a missing file", |folder| fs::remove_file(folder.join(CURRENT).join("key.pem")).unwrap()),
        ("a missing link", |folder| fs::remove_file(folder.join("key.pem")).unwrap()),
        ("a changed file", |folder| fs::write(folder.join("svid.pem"), "other").unwrap()),
        ("an empty file", |folder| fs::write(folder.join("svid.pem"), "").unwrap()),
        ("another request", |folder| fs::write(folder.join(CURRENT).join(REQUEST), "{}").unwrap()),
        ("no list", |folder| fs::remove_file(folder.join(CURRENT).join(SUMS)).unwrap()),
        ("a list with another name", |folder| {
            let sums = folder.join(CURRENT).join(SUMS);
            let text = fs::read_to_string(&sums).unwrap().replace("key.pem", "../key.pem");
            fs::write(&sums, text).unwrap();
        }),
    ];
    for (name, damage) in damages {
        let root = tempfile::tempdir().unwrap();
        replace(root.path(), &set(&[("svid.pem", "one"), ("key.pem", "k1")])).unwrap();
        assert!(CurrentSet::read(root.path(), FileAccess::default()).is_some());
        damage(root.path());
        assert!(CurrentSet::read(root.path(), FileAccess::default()).is_none(), "{name}");
    }
}

#[test]
fn a_file_of_ours_that_is_empty_or_zeros_is_replaced_without_force() {
    for damaged in [&b""[..], &[0; 512]] {
        let root = tempfile::tempdir().unwrap();
        replace(root.path(), &set(&[("svid.pem", "one"), ("key.pem", "k1")])).unwrap();
        fs::write(root.path().join("key.pem"), damaged).unwrap();
        assert_eq!(foreign(root.path(), false), Ok(vec![]));
        // Under the same name, an empty file that is not of a set of ours is kept.
        fs::remove_file(root.path().join("key.pem")).unwrap();
        fs::write(root.path().join("key.pem"), damaged).unwrap();
        assert!(foreign(root.path(), false).is_err());
    }
}

#[test]
fn the_command_is_pending_until_it_succeeds() {
    let root = tempfile::tempdir().unwrap();
    let pending = || CurrentSet::read(root.path(), FileAccess::default()).unwrap().command_pending;
    let new = |has_command| NewSet {
        files: set(&[("svid.pem", "one"), ("key.pem", "k1")]),
        has_command,
        ..NewSet::default()
    };
    super::replace(root.path(), &new(true)).unwrap();
    assert!(pending());
    command_succeeded(root.path());
    assert!(!pending());
    super::replace(root.path(), &new(false)).unwrap();
    assert!(!pending());
    assert_eq!(visible_and_hidden(root.path()).1, 1, "the mark does not keep a set");
}
