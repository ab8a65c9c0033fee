//! Operators: real processes of the real binary.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The `everleaf` to test: `EVERLEAF_BIN`, else the one that cargo built beside this test.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("EVERLEAF_BIN") {
        return path.into();
    }
    // <target>/<profile>/deps/suite-<hash>
    let test = std::env::current_exe().expect("the path of this program");
    let profile = test.parent().and_then(Path::parent).expect("cargo's folders");
    let built = profile.join("everleaf");
    assert!(
        built.exists(),
        "{} is not there: run `cargo build -p everleaf`, or set EVERLEAF_BIN",
        built.display()
    );
    built
}

/// A running operator. It is killed when dropped.
pub struct Operator {
    child: Child,
    log: PathBuf,
}

impl Operator {
    /// Starts one whose output goes to the file `log`.
    pub(crate) fn start(arguments: &[String], environment: &[(&str, &str)], log: PathBuf) -> Self {
        let out = File::create(&log).expect("a new log file");
        let err = out.try_clone().expect("a second handle of it");
        let mut command = Command::new(binary());
        command.arg("operator").args(arguments).env("RUST_BACKTRACE", "1");
        command.envs(environment.iter().copied());
        let spawned = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let child = spawned.unwrap_or_else(|error| panic!("{}: {error}", binary().display()));
        Self { child, log }
    }

    /// Ends it at once, as the kernel's out-of-memory killer would (`SIGKILL`).
    pub fn kill(mut self) {
        assert!(self.is_running(), "the operator ended by itself:\n{}", self.tail(40));
        self.child.kill().expect("our own child");
        self.child.wait().expect("our own child");
    }

    /// Asks it to end (`SIGTERM`), as a rollout does, and waits for that.
    pub fn stop(mut self) -> ExitStatus {
        assert!(self.is_running(), "the operator ended by itself:\n{}", self.tail(40));
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status().expect("kill is there");
        assert!(asked.success());
        let end = Instant::now() + Duration::from_secs(40);
        loop {
            match self.child.try_wait().expect("our own child") {
                Some(status) => return status,
                None if Instant::now() > end => {
                    panic!("the operator did not end within 40 s:\n{}", self.tail(40))
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_none()
    }

    /// All that it has said so far.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn tail(&self, lines: usize) -> String {
        tail(&self.log(), lines)
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last lines of a text.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
