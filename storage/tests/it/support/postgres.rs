//! A Postgres server for the suite: the one of `SPOTTER_TEST_POSTGRES`, or a child of its own in a temporary folder.
//!
//! The child runs with fsync on, on a free port of the loopback, as user `postgres` where the suite itself runs as root (Postgres refuses
//! root). It is stopped at the end, also when a case fails.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::time::{Duration, Instant, sleep};

use super::PATIENCE;

/// A running server.
pub(crate) struct Server {
    base: String,
    child: Option<Child>,
}

struct Child {
    bin: PathBuf,
    files: TempDir,
    port: u16,
}

impl Server {
    pub(crate) async fn start() -> Self {
        if let Ok(base) = std::env::var("SPOTTER_TEST_POSTGRES") {
            return Self { base: base.trim_end_matches('/').to_owned(), child: None };
        }
        let bin =
            binaries().expect("Postgres 15 or newer in PATH or /usr/lib/postgresql, or SPOTTER_TEST_POSTGRES=postgres://USER@HOST:PORT");
        let files = tempfile::tempdir().unwrap();
        std::fs::set_permissions(files.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Child { bin, files, port };
        child.run("initdb", &["-D", &child.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"]);
        let server = Self { base: format!("postgres://postgres@127.0.0.1:{port}"), child: Some(child) };
        server.go().await;
        server
    }

    /// Whether the suite may stop and start it.
    pub(crate) const fn is_own(&self) -> bool {
        self.child.is_some()
    }

    /// The folder of its tables, where the server is ours.
    pub(crate) fn tables(&self) -> Option<PathBuf> {
        self.child.as_ref().map(|child| PathBuf::from(child.data()).join("base"))
    }

    /// Starts the server and waits until it answers.
    pub(crate) async fn go(&self) {
        let Some(child) = &self.child else { return };
        let settings = format!("-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=60", child.port);
        child.run("pg_ctl", &["-D", &child.data(), "-w", "-l", &child.log(), "-o", &settings, "start"]);
        let until = Instant::now() + PATIENCE;
        while PgConnection::connect(&format!("{}/postgres", self.base)).await.is_err() {
            assert!(Instant::now() < until, "Postgres does not answer: {}", std::fs::read_to_string(child.log()).unwrap_or_default());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Stops it without goodbye, as a crash does.
    pub(crate) fn cut(&self) {
        if let Some(child) = &self.child {
            child.run("pg_ctl", &["-D", &child.data(), "-w", "-m", "immediate", "stop"]);
        }
    }

    pub(crate) async fn stop(mut self) {
        if let Some(child) = self.child.take() {
            child.run("pg_ctl", &["-D", &child.data(), "-w", "-m", "fast", "stop"]);
        }
    }

    /// Where a client tool of the newest version is.
    #[expect(clippy::unused_self, reason = "it is the server's, wherever that runs")]
    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        binaries().expect("the tools of Postgres in PATH or /usr/lib/postgresql").join(name)
    }

    /// Makes a fresh database.
    pub(crate) async fn database(&self, name: &str) -> String {
        let name = format!("t_{}_{}", std::process::id(), &name[..name.len().min(40)]);
        self.sql(&format!("drop database if exists {name}")).await;
        self.sql(&format!("create database {name}")).await;
        format!("{}/{name}", self.base)
    }

    /// Runs SQL that belongs to no database of a case.
    pub(crate) async fn sql(&self, sql: &str) {
        let mut conn = PgConnection::connect(&format!("{}/postgres", self.base)).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
    }
}

impl Child {
    fn data(&self) -> String {
        self.files.path().join("data").display().to_string()
    }

    fn log(&self) -> String {
        self.files.path().join("log").display().to_string()
    }

    fn run(&self, tool: &str, args: &[&str]) {
        let program = self.bin.join(tool);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let status = command.args(args).current_dir(self.files.path()).stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap();
        assert!(status.success(), "{tool}: {status}; {}", std::fs::read_to_string(self.log()).unwrap_or_default());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.cut();
        }
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// The folder of `initdb`: the newest of the distribution's, or one in PATH.
fn binaries() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort_by_key(|bin| bin.parent().and_then(Path::file_name).and_then(|version| version.to_str()?.parse::<u32>().ok()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.pop().or_else(|| std::env::split_paths(&path).find(|bin| bin.join("initdb").exists()))
}
