//! `everleaf dev` as a process, and the real kubectl against it.

use crate::operator::{binary, tail};
use crate::skip;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// How long a cluster may take until it stays up.
const PATIENCE: Duration = Duration::from_secs(120);
const EVERY: Duration = Duration::from_millis(20);

/// Whether kubectl is installed; says aloud what is skipped without it.
pub fn has_kubectl(what: &str) -> bool {
    let asked = Command::new("kubectl").args(["version", "--client"]).output();
    let found = asked.is_ok_and(|answer| answer.status.success());
    if !found {
        skip(what, "install kubectl");
    }
    found
}

/// A cluster of a process of its own, in a folder that goes with it. It is killed when dropped.
pub struct Dev {
    child: Child,
    folder: PathBuf,
}

impl Dev {
    /// Starts one in an empty folder, and waits until the demonstration is over and it stays up.
    pub fn start(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("e2e-dev-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder of our own");
        Self::go_on(folder)
    }

    fn go_on(folder: PathBuf) -> Self {
        let out = File::create(folder.join("log")).expect("a new log file");
        let err = out.try_clone().expect("a second handle of it");
        let mut command = Command::new(binary());
        command.args(["dev", "--keep", "--data"]).arg(folder.join("data"));
        let spawned = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let child = spawned.unwrap_or_else(|error| panic!("{}: {error}", binary().display()));
        let mut dev = Self { child, folder };
        let end = Instant::now() + PATIENCE;
        while !dev.log().contains("it stays up") {
            let runs = dev.child.try_wait().expect("our own child").is_none();
            assert!(runs && Instant::now() < end, "it does not stay up:\n{}", dev.tail());
            std::thread::sleep(EVERY);
        }
        dev
    }

    /// Ends it as Ctrl-C does, and starts another in the same folder.
    pub fn restart(mut self) -> Self {
        let ended = self.interrupt();
        assert!(ended.success(), "{ended}:\n{}", self.tail());
        let folder = std::mem::take(&mut self.folder);
        Self::go_on(folder)
    }

    /// Ends it as Ctrl-C does, and waits for that.
    pub fn interrupt(&mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                return status;
            }
            assert!(Instant::now() < end, "Ctrl-C does not end it:\n{}", self.tail());
            std::thread::sleep(EVERY);
        }
    }

    /// All that it has said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn tail(&self) -> String {
        tail(&self.log(), 40)
    }

    /// Its kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("data").join("kubeconfig")
    }

    /// A file for a test's own.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        std::fs::write(&path, text).expect("a file of our own");
        path
    }

    /// What kubectl answers.
    pub fn ask(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(self.kubeconfig()).args(arguments);
        command.env("KUBECACHEDIR", self.folder.join("cache")).stdin(Stdio::null());
        command.output().expect("kubectl runs")
    }

    /// What kubectl prints; panics if it fails.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let answer = self.ask(arguments);
        let told = String::from_utf8_lossy(&answer.stderr).into_owned();
        assert!(answer.status.success(), "kubectl {arguments:?}: {told}\n{}", self.tail());
        String::from_utf8_lossy(&answer.stdout).into_owned()
    }

    /// Applies a file.
    pub fn apply(&self, path: &Path, more: &[&str]) -> String {
        let path = path.display().to_string();
        self.kubectl(&[&["apply", "-f", path.as_str()], more].concat())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !self.folder.as_os_str().is_empty() && !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}
