//! nginx as a plain proxy: the floor to compare with.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Context as _, Error, Result};
use crate::server::Launch;

/// Where nginx lies when it is installed; `/usr/sbin` is not in everybody's search path.
const USUAL_PLACES: [&str; 4] = [
    "/usr/sbin/nginx",
    "/usr/bin/nginx",
    "/usr/local/sbin/nginx",
    "/usr/local/nginx/sbin/nginx",
];

/// The program: the given one, or where it usually lies; `None` when it is not there.
///
/// # Errors
/// When one is given and does not exist.
pub(crate) fn find(given: Option<&Path>) -> Result<Option<PathBuf>> {
    match given {
        Some(path) if path.is_file() => Ok(Some(path.to_owned())),
        Some(path) => Err(Error::new(format!("there is no nginx at {}", path.display()))),
        None => Ok(USUAL_PLACES.iter().map(PathBuf::from).find(|path| path.is_file())),
    }
}

/// The version, as in "1.22.1".
pub(crate) fn version(program: &Path) -> Result<String> {
    let output = Command::new(program)
        .arg("-v")
        .output()
        .while_trying(|| format!("run {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(text.rsplit('/').next().unwrap_or_default().trim().to_owned())
}

/// How to start it on `address` in front of the mock, with everything it writes in `folder`.
pub(crate) fn launch(program: &Path, folder: &Path, address: SocketAddr, mock: SocketAddr) -> Result<Launch> {
    let file = folder.join(format!("nginx-{}.conf", address.port()));
    fs::write(&file, configuration(folder, address, mock)).while_trying(|| format!("write {}", file.display()))?;
    let mut command = Command::new(program);
    command
        .arg("-p")
        .arg(folder)
        .arg("-e")
        .arg("nginx-error.log")
        .arg("-c")
        .arg(&file);
    Ok(Launch {
        name: "nginx",
        command,
        address,
        health_path: "/health",
        healthy: &[200],
        log: folder.join("nginx-output.log"),
    })
}

/// One worker, connections to the mock kept open, no log of requests, bodies kept in memory.
///
/// A request body is read whole before it is sent on, as nginx does by default and as a server must that looks into it.
/// Streams are not buffered: the mock's answers carry the header that says so.
fn configuration(folder: &Path, address: SocketAddr, mock: SocketAddr) -> String {
    let folder = folder.display();
    let port = address.port();
    format!(
        "daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {folder}/nginx-{port}.pid;
error_log {folder}/nginx-error.log warn;
events {{
  worker_connections 16384;
}}
http {{
  access_log off;
  client_body_temp_path {folder}/nginx-client-body;
  proxy_temp_path {folder}/nginx-proxy;
  fastcgi_temp_path {folder}/nginx-fastcgi;
  uwsgi_temp_path {folder}/nginx-uwsgi;
  scgi_temp_path {folder}/nginx-scgi;
  client_max_body_size 64m;
  client_body_buffer_size 4m;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  upstream mock {{
    server {mock};
    keepalive 4096;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
  }}
  server {{
    listen {address} backlog=4096;
    location / {{
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
    }}
  }}
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_program_must_exist() {
        let error = find(Some(Path::new("/no/such/nginx"))).unwrap_err().to_string();
        assert!(error.contains("/no/such/nginx"), "{error}");
        let existing = std::env::current_exe().unwrap();
        assert_eq!(find(Some(&existing)).unwrap(), Some(existing));
    }
}
