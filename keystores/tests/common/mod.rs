//! What the tests share: keys and certificates, fixed salts, and programs of others.

#![allow(dead_code, clippy::unwrap_used)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use everleaf_keystores::pkcs12::Profile;
use everleaf_keystores::{Identity, Password, Salts};
use everleaf_pki::{CertInfo, Encoding, Limits, PrivateKey, Zeroizing};

pub const KEYS: [&str; 5] = ["rsa", "p256", "p384", "p521", "ed25519"];

pub const PROFILES: [(Profile, &str); 4] = [
    (Profile::LegacyRc2, "legacy-rc2"),
    (Profile::LegacyDes, "legacy-des"),
    (Profile::Modern2023, "modern-2023"),
    (Profile::Modern2026, "modern-2026"),
];

/// 1 January 2026, 00:00:00.123 UTC.
pub const CREATED: i64 = 1_767_225_600_123;

pub fn data(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn certificates(names: &[&str]) -> Vec<CertInfo> {
    let read = |name: &&str| CertInfo::parse_bundle(&data(name), &Limits::default()).unwrap();
    names.iter().flat_map(read).collect()
}

pub fn private_key(name: &str) -> PrivateKey {
    PrivateKey::from_pem(&data(name), &Limits::default()).unwrap()
}

/// A key as the stores take it, with its leaf and the CA that signed it.
pub struct Pair {
    pub key: Zeroizing<Vec<u8>>,
    pub chain: Vec<CertInfo>,
}

impl Pair {
    pub fn of(kind: &str) -> Self {
        let key = private_key(&format!("{kind}.key")).to_der(Encoding::Pkcs8).unwrap();
        Pair { key, chain: certificates(&[&format!("{kind}.crt"), "middle.crt"]) }
    }

    pub fn identity(&self) -> Identity<'_> {
        Identity::new(&self.key, &self.chain).unwrap()
    }
}

pub fn password(text: &str) -> Password {
    Password::new(text.as_bytes()).unwrap()
}

/// The bytes 0, 1, 2 and so on.
pub fn salts() -> Salts {
    Salts::new(std::array::from_fn(|position| position as u8))
}

/// A program on the PATH, run in a scratch directory of its own.
pub struct Tool {
    program: &'static str,
    dir: PathBuf,
}

impl Tool {
    /// `None`, said aloud, where there is no such program.
    pub fn find(program: &'static str, version: &str, test: &str) -> Option<Self> {
        let found = Command::new(program).arg(version).output();
        if !found.is_ok_and(|output| output.status.success()) {
            say(&format!("SKIPPED {test}: no {program} on the PATH"));
            return None;
        }
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{program}-{test}"));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Some(Tool { program, dir })
    }

    /// Writes a file for a later call; returns its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub fn path(&self, name: &str) -> String {
        self.dir.join(name).to_str().unwrap().to_owned()
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.dir.join(name)).unwrap()
    }

    fn output(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.program);
        // Java reads its arguments in the locale's encoding, speaks its language, and shows local days.
        command.args(arguments).current_dir(&self.dir).env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// Standard output and standard error of a call that must succeed.
    pub fn run(&self, arguments: &[&str]) -> String {
        let (output, text) = self.text(arguments);
        assert!(output.status.success(), "{} {arguments:?}: {text}", self.program);
        text
    }

    /// Standard output and standard error of a call that must fail.
    pub fn refuse(&self, arguments: &[&str]) -> String {
        let (output, text) = self.text(arguments);
        assert!(!output.status.success(), "{} {arguments:?}: {text}", self.program);
        text
    }

    fn text(&self, arguments: &[&str]) -> (Output, String) {
        let output = self.output(arguments);
        let text =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        let text = text.into_owned();
        (output, text)
    }
}

/// Not `eprintln!`, which the harness swallows where a test passes.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
