//! The binary itself, started as a supervisor does: on a listener that was handed over, with a socket on which it says that it is ready.

use std::net::TcpListener;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running `spotter serve`. Killed when dropped, if it has not ended.
pub(crate) struct Spotter {
    child: Child,
    notified: UnixDatagram,
}

impl Spotter {
    /// Starts one with a store in the folder, and waits until it says that it is ready.
    pub(crate) fn start(folder: &Path, listener: &TcpListener, settings: &[String]) -> Self {
        let socket = folder.join("notify");
        let notified = UnixDatagram::bind(&socket).expect("a socket");
        notified.set_read_timeout(Some(Duration::from_secs(30))).expect("a deadline");
        let mut command = Command::new(env!("CARGO_BIN_EXE_spotter"));
        command.args(["serve", "--profile", "dev", "--set"]).arg(format!("store.url=sqlite:{}", folder.join("spotter.db").display()));
        settings.iter().for_each(|setting| {
            command.args(["--set", setting]);
        });
        command.current_dir(folder).env("NOTIFY_SOCKET", &socket).env("LISTEN_FDS", "1").stdin(Stdio::null()).stderr(Stdio::null());
        // A handle that outlives `exec`; ours is closed after it.
        let handed = listener.try_clone().expect("another handle");
        rustix::io::fcntl_setfd(&handed, rustix::io::FdFlags::empty()).expect("inherited");
        command.env("LISTEN_FDS_FIRST_FD", handed.as_raw_fd().to_string());
        let spotter = Self { child: command.spawn().expect("the binary starts"), notified };
        drop(handed);
        let said = spotter.said();
        assert!(said.contains("READY=1"), "{said}");
        spotter
    }

    /// What it says next to its supervisor.
    pub(crate) fn said(&self) -> String {
        let mut said = [0; 256];
        let bytes = self.notified.recv(&mut said).expect("told in time");
        String::from_utf8_lossy(&said[..bytes]).into_owned()
    }

    /// Tells it to end, and waits until it did, as it should.
    pub(crate) fn end(mut self) {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill runs");
        assert!(told.success());
        assert!(self.said().contains("STOPPING=1"));
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Spotter {
    fn drop(&mut self) {
        // It may have ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
