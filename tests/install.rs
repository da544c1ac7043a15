//! The page for installation is true: its commands run in their order, against a real server, with
//! other paths and without `useradd` and `systemctl`.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of a test, where a surprise is a failure"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const SIGNET: &str = env!("CARGO_BIN_EXE_signet");

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/install.md")).unwrap()
}

/// The text of the page from a heading to the next one.
fn section(heading: &str) -> String {
    let page = page();
    let (_, text) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    text.split("\n## ").next().unwrap().to_owned()
}

/// The commands of a section, one a line.
fn commands(heading: &str) -> Vec<String> {
    let text = section(heading);
    let lines = text.lines().filter_map(|line| line.strip_prefix("    "));
    let lines: Vec<String> = lines.map(str::to_owned).collect();
    assert!(!lines.is_empty(), "{heading}");
    lines
}

/// The blocks of a section between fences.
fn blocks(heading: &str) -> Vec<String> {
    let text = section(heading);
    let blocks = text.split("\n```").skip(1).step_by(2);
    blocks.map(|block| block.split_once('\n').unwrap().1.to_owned() + "\n").collect()
}

/// A host: its folders, its running server, and what the shell has exported.
struct Host {
    root: tempfile::TempDir,
    server: Option<Child>,
    address: String,
    shell: Vec<String>,
}

impl Host {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["bin", "etc", "var", "home/target/release"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        symlink(SIGNET, root.path().join("home/target/release/signet")).unwrap();
        // The page's command replaces it.
        symlink(SIGNET, root.path().join("bin/signet")).unwrap();
        Self { root, server: None, address: "https://localhost:8200".to_owned(), shell: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The text with this host's paths, name and address, and without other users.
    fn localised(&self, text: &str) -> String {
        let root = self.root.path().display();
        text.replace("sudo -u signet ", "")
            .replace("sudo ", "")
            .replace("-o signet -g signet ", "")
            .replace("-o root -g signet ", "")
            .replace("-owner=root:web ", "")
            .replace("systemctl reload web.service", "echo reloaded")
            .replace("https://ca.example.com:8200", &self.address)
            .replace("ca.example.com", "localhost")
            .replace("\":8200\"", "\"127.0.0.1:0\"")
            .replace("/usr/local/bin/signet", &format!("{root}/bin/signet"))
            .replace("/etc/signet-issue/ca.crt", "/etc/signet/tls.crt")
            .replace("/etc/web", &format!("{root}/etc/web"))
            .replace("/etc/signet", &format!("{root}/etc/signet"))
            .replace("/var/lib/signet", &format!("{root}/var/signet"))
    }

    /// Runs the commands of a section in their order: what they print.
    fn run(&mut self, heading: &str) -> String {
        let mut printed = String::new();
        for command in commands(heading) {
            let words = command.trim_start_matches("sudo ");
            match words.strip_prefix("systemctl ") {
                Some("start signet") => self.start(),
                Some("stop signet") => self.stop(),
                Some("reload signet") => self.reload(),
                Some(_) => {}
                None if words.starts_with("useradd ") => {}
                None => printed += &self.paste(&command),
            }
        }
        printed
    }

    /// Runs one line as a person who pastes it does; variables stay for the following lines.
    fn paste(&mut self, line: &str) -> String {
        let is_name = |name: &str| {
            name.bytes().all(|byte| byte.is_ascii_lowercase() || b"_0123456789".contains(&byte))
        };
        let is_assigned = line.split_once('=').is_some_and(|(name, _)| is_name(name));
        if line.starts_with("export ") && !line.contains("$(") {
            self.shell.push(line.to_owned());
            return String::new();
        }
        let variables = self.shell.join("\n");
        if !is_assigned && !line.starts_with("export ") {
            let (code, printed, errors) = self.shell(&format!("{variables}\n{line}"));
            assert_eq!(code, 0, "{line}\n{printed}\n{errors}");
            return printed;
        }
        // The command of the line must run once, and its output is what the later lines need.
        let name = line.trim_start_matches("export ").split('=').next().unwrap();
        let script = format!("{variables}\n{line}\nprintf %s \"${name}\"");
        let (code, value, errors) = self.shell(&script);
        assert!(code == 0 && !value.is_empty(), "{line}\n{errors}");
        self.shell.push(format!("export {name}='{value}'"));
        String::new()
    }

    fn shell(&self, script: &str) -> (i32, String, String) {
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        let output = Command::new("sh")
            .args(["-c", &self.localised(script)])
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.path("home"))
            .current_dir(self.path("home"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
    }

    /// Writes the configuration with the file and the seal block of the page.
    fn configure(&self, seal: Option<&str>) {
        let mut text = blocks("Configuration").remove(0);
        if let Some(seal) = seal {
            text.truncate(text.find("seal \"static\"").unwrap());
            text.push_str(seal);
        }
        fs::write(self.path("etc/signet/server.hcl"), self.localised(&text)).unwrap();
    }

    /// By the line of the unit.
    fn start(&mut self) {
        let unit = self.localised(&blocks("Service").remove(0));
        let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| Some(line.strip_prefix("address: ")?.to_owned()));
        // The rest is read, so that the server can print it.
        std::thread::spawn(move || lines.for_each(drop));
        self.server = Some(child);
        self.address = address.unwrap_or_else(|| panic!("{}", self.log()));
        self.address = self.address.replace("127.0.0.1", "localhost");
    }

    fn stop(&mut self) {
        let mut server = self.server.take().unwrap();
        self.signal(&server, "TERM");
        assert!(server.wait().unwrap().success(), "{}", self.log());
    }

    fn reload(&self) {
        self.signal(self.server.as_ref().unwrap(), "HUP");
    }

    fn signal(&self, server: &Child, name: &str) {
        assert_eq!(self.shell(&format!("kill -{name} {}", server.id())).0, 0);
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn count(&self, file: &str) -> usize {
        fs::read_to_string(self.path("home").join(file)).unwrap().matches("BEGIN").count()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// A host after the sections up to the first start.
fn installed() -> Host {
    let mut host = Host::new();
    fs::remove_file(host.path("bin/signet")).unwrap();
    fs::write(host.path("etc/web"), "")
        .and_then(|()| fs::remove_file(host.path("etc/web")))
        .unwrap();
    for command in commands("Binary, user and folders") {
        if !command.contains("useradd") {
            host.paste(&command);
        }
    }
    let checks = commands("Configuration");
    let (check, keys) = checks.split_last().unwrap();
    for command in keys {
        host.paste(command);
    }
    host.configure(None);
    let mode = |name: &str| fs::metadata(host.path(name)).unwrap().mode() & 0o7777;
    let modes = ["etc/signet", "etc/signet/seal.key", "etc/signet/tls.key", "var/signet"].map(mode);
    assert_eq!(modes, [0o750, 0o400, 0o400, 0o700]);
    let (code, printed, warnings) = host.shell(check);
    assert_eq!((code, printed.as_str()), (0, "The configuration has no fault.\n"), "{warnings}");
    host.run("Service");
    let printed = host.run("First start");
    assert!(printed.contains("spiffe://example.com/hello, valid until"), "{printed}");
    host
}

#[test]
fn a_host_is_installed_backed_up_restored_upgraded_and_rotated_by_the_commands_of_the_page() {
    let mut host = installed();
    assert!(host.run("Health and logs").starts_with("200"));
    host.run("Back up and restore");
    // The store of the backup knows the certificate that was issued before.
    assert!(host.paste("signet list pki/certs").contains(':'));
    assert!(host.run("Upgrade").contains("Initialized"));

    host.run("Rotate the certificate of the listener");
    host.paste("signet status");

    let seal = blocks("Rotate the seal key").remove(0);
    for command in commands("Rotate the seal key") {
        if command.contains("config check") {
            host.configure(Some(&seal));
        }
        match command.as_str() {
            "sudo systemctl stop signet" => host.stop(),
            "sudo systemctl start signet" => host.start(),
            _ => drop(host.paste(&command)),
        }
    }
    assert!(host.log().contains("2027-12"), "{}", host.log());
    // The previous key is no longer needed.
    let alone: Vec<&str> = seal.lines().filter(|line| !line.contains("previous_")).collect();
    host.configure(Some(&alone.join("\n")));
    host.stop();
    host.start();

    host.run("Rotate the intermediate");
    host.paste("signet pki issue -out=hello spiffe://example.com/hello");
    let subject =
        "signet read -field=certificate pki/issuer/default | openssl x509 -noout -subject";
    assert!(host.paste(subject).contains("Intermediate 2"));
    rotate_root(&mut host);
}

/// After each of the three steps, the number of roots in the bundle.
fn rotate_root(host: &mut Host) {
    let mut roots = Vec::new();
    for command in commands("Rotate the root") {
        host.paste(&command);
        if command.contains("pki issue") {
            roots.push(host.count("hello/bundle.pem"));
            host.paste(
                "openssl verify -CAfile hello/bundle.pem -untrusted hello/svid.pem hello/svid.pem",
            );
        }
    }
    assert_eq!(roots, [2, 2, 1]);
    host.paste("openssl verify -CAfile root-2.pem -untrusted hello/svid.pem hello/svid.pem");
}

#[test]
fn the_service_of_the_timer_renews_when_due_and_knows_its_exit_codes() {
    let mut host = installed();
    let heading = "Certificates for a service on a host";
    host.paste(&commands(heading)[0]);
    let unit = blocks(heading).remove(0);
    let value = |name: &str| {
        let line = unit.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap().to_owned()
    };
    let line = format!("{} {}", value("Environment"), value("ExecStart"));
    let token = host.shell.iter().find(|line| line.contains("SIGNET_TOKEN")).unwrap().clone();
    let run =
        || host.shell(&format!("{token}\nexport {line}").replace(" /usr/local", "\n/usr/local"));
    let (code, printed, errors) = run();
    assert_eq!(code, 0, "{errors}");
    assert!(printed.ends_with("reloaded\n"), "{printed}");
    assert_eq!(fs::metadata(host.path("etc/web/tls/key.pem")).unwrap().mode() & 0o777, 0o640);
    let (code, printed, _) = run();
    assert_eq!(value("SuccessExitStatus"), code.to_string());
    assert!(!printed.contains("reloaded"), "{printed}");
    let help = host.paste("signet pki issue --help");
    for code in section(heading)
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse::<u8>().ok())
    {
        assert!(help.contains(&format!("{code} ")), "{code}");
    }
}

/// Where systemd is installed, it reads the units.
#[test]
fn systemd_takes_the_units_of_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::new();
    let mut units = blocks("Service");
    units.extend(blocks("Certificates for a service on a host"));
    let names = ["signet.service", "web-certificate.service", "web-certificate.timer"];
    assert_eq!(units.len(), names.len());
    for (name, unit) in names.iter().zip(&units) {
        fs::write(folder.path().join(name), host.localised(unit)).unwrap();
        assert!(page().contains(&format!("/etc/systemd/system/{name}")), "{name}");
    }
    let paths = names.map(|name| folder.path().join(name));
    let Ok(mut child) = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(&paths)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
    else {
        return;
    };
    let mut expected_text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut expected_text).unwrap();
    let ours: Vec<&str> = expected_text
        .lines()
        .filter(|line| line.contains(&*folder.path().to_string_lossy()))
        .collect();
    assert!(ours.is_empty(), "{ours:#?}");
}
