//! A Postgres of our own: a child on a free port in a temporary folder, stopped and started as a scenario wants.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail, ensure};
use sqlx::Connection as _;
use tempfile::TempDir;
use tokio::process::Command;

/// The user that runs it where we are root: Postgres refuses root.
const USER: &str = "postgres";

/// A running Postgres. Stopped when dropped.
pub struct Postgres {
    bin: PathBuf,
    data: PathBuf,
    port: u16,
    as_user: bool,
    /// Ends the options of the server.
    options: String,
    // Dropped last: the folder must outlive the server.
    _folder: TempDir,
}

/// The folder of `initdb` and `pg_ctl`: on the path, else the newest where Debian keeps them.
fn find_bin() -> anyhow::Result<PathBuf> {
    let on_path = std::process::Command::new("pg_config").arg("--bindir").output().ok();
    if let Some(output) = on_path.filter(|output| output.status.success()) {
        let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        if folder.join("initdb").exists() {
            return Ok(folder);
        }
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").context("no Postgres: install it, or give --store postgres://…")?;
    let mut found: Vec<PathBuf> =
        versions.filter_map(|entry| entry.ok().map(|entry| entry.path().join("bin"))).filter(|bin| bin.join("initdb").exists()).collect();
    found.sort();
    found.pop().context("no Postgres under /usr/lib/postgresql: install it, or give --store postgres://…")
}

/// A port that was free a moment ago.
///
/// # Errors
/// Where there is none.
pub fn free_port() -> anyhow::Result<u16> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("no free port")?;
    Ok(listener.local_addr()?.port())
}

impl Postgres {
    /// Makes a cluster and starts it.
    ///
    /// # Errors
    /// What `initdb` or `pg_ctl` said.
    pub async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("loadtest-pg-").tempdir().context("no temporary folder")?;
        Self::start_in(folder, &[], "").await
    }

    /// As [`Postgres::start`], in a folder that is there (a small disk), with more words for `initdb` and options for the server.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn start_in(folder: TempDir, initdb: &[&str], options: &str) -> anyhow::Result<Self> {
        let bin = find_bin()?;
        let as_user = is_root();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        if as_user {
            let owned = Command::new("chown").arg(USER).arg(folder.path()).status().await.context("could not run chown")?;
            ensure!(owned.success(), "could not give the folder of Postgres to {USER}");
        }
        let options = options.to_owned();
        let postgres = Self { bin, data: folder.path().join("data"), port: free_port()?, as_user, options, _folder: folder };
        let usual = ["-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"];
        postgres.tool("initdb", &[&usual, initdb].concat()).await?;
        postgres.run().await?;
        Ok(postgres)
    }

    /// The URL for the hub.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{USER}", self.port)
    }

    /// The URL of another of its databases, which is made.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub async fn create_database(&self, name: &str) -> anyhow::Result<String> {
        let url = self.url();
        let mut connection = sqlx::PgConnection::connect(&url).await.with_context(|| format!("could not reach {url}"))?;
        let sql = sqlx::AssertSqlSafe(format!("create database {name}"));
        sqlx::query(sql).execute(&mut connection).await.with_context(|| format!("could not make the database {name}"))?;
        connection.close().await.context("could not close a connection to Postgres")?;
        Ok(format!("postgres://{USER}@127.0.0.1:{}/{name}", self.port))
    }

    /// Whether its server is up.
    pub async fn is_running(&self) -> bool {
        self.tool("pg_ctl", &["status"]).await.is_ok()
    }

    /// Starts it again after [`Postgres::stop_immediate`].
    ///
    /// # Errors
    /// What `pg_ctl` said.
    pub async fn run(&self) -> anyhow::Result<()> {
        // Durable as in production: fsync stays on. The socket folder is ours, so that no other server is in the way.
        let (port, folder, more) = (self.port, self.folder(), &self.options);
        let options = format!("-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c max_connections=50 {more}");
        let log = self.data.with_file_name("log");
        self.tool("pg_ctl", &["start", "-w", "-t", "60", "-o", &options, "-l", &log.to_string_lossy()]).await
    }

    /// `pg_ctl stop -m immediate`: as if the power went.
    ///
    /// # Errors
    /// What `pg_ctl` said.
    pub async fn stop_immediate(&self) -> anyhow::Result<()> {
        self.tool("pg_ctl", &["stop", "-m", "immediate", "-w"]).await
    }

    fn folder(&self) -> String {
        self.data.parent().unwrap_or(Path::new("/tmp")).to_string_lossy().into_owned()
    }

    async fn tool(&self, name: &str, arguments: &[&str]) -> anyhow::Result<()> {
        let program = self.bin.join(name);
        let mut command = if self.as_user {
            let mut command = Command::new("runuser");
            command.args(["-u", USER, "--"]).arg(&program);
            command
        } else {
            Command::new(&program)
        };
        command.arg("-D").arg(&self.data).args(arguments).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
        // pg_ctl leaves its standard error to the server, so a file takes it and not a pipe that would stay open.
        let errors = tempfile::NamedTempFile::new()?;
        let status = command.stderr(errors.reopen()?).status().await.with_context(|| format!("could not run {}", program.display()))?;
        if !status.success() {
            let log = std::fs::read_to_string(self.data.with_file_name("log")).unwrap_or_default();
            bail!("{name} failed: {}{log}", std::fs::read_to_string(errors.path()).unwrap_or_default());
        }
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let program = self.bin.join("pg_ctl");
        let mut command = if self.as_user {
            let mut command = std::process::Command::new("runuser");
            command.args(["-u", USER, "--"]).arg(&program);
            command
        } else {
            std::process::Command::new(&program)
        };
        let stop = command.arg("-D").arg(&self.data).args(["stop", "-m", "immediate", "-w"]);
        // Nothing to do about a failure here: the folder goes with its temporary directory.
        stop.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().ok();
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0)
}
