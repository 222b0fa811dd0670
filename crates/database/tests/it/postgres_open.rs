//! Opening a PostgreSQL database: what is refused, in one sentence, and TLS.

use std::{
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
};

use landfall_database::{Database, Error, PostgresOptions, params};
use landfall_services::postgres::{self, Cluster, sql};

async fn refusal(url: &str) -> String {
    let opened = Database::open_postgres(&PostgresOptions::new(url)).await;
    let error = opened.expect_err("it can't be opened");
    assert!(
        matches!(error, Error::Refused(_) | Error::Unavailable(_)),
        "{error:?}"
    );
    let sentence = error.to_string();
    assert!(
        !sentence.contains(":test"),
        "the password is told: {sentence}"
    );
    sentence
}

#[tokio::test]
async fn a_wrong_password_is_told() {
    let url = postgres::fresh().replace(":test@", ":wrong@");
    let sentence = refusal(&url).await;
    assert!(
        sentence.contains("refuses the password of `landfall`"),
        "{sentence}"
    );
}

#[tokio::test]
async fn an_unknown_database_is_told() {
    let url = postgres::fresh();
    let (server, _) = url.rsplit_once('/').expect("a path");
    let sentence = refusal(&format!("{server}/nowhere")).await;
    assert!(
        sentence.contains("there is no database `nowhere`"),
        "{sentence}"
    );
    assert!(sentence.contains("createdb"), "{sentence}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address").port()
    };
    let sentence = refusal(&format!("postgres://u:test@127.0.0.1:{port}/d")).await;
    assert!(sentence.contains("can't be reached"), "{sentence}");
    assert!(sentence.contains("Connection refused"), "{sentence}");
    let sentence = refusal("postgres://u:test@localhost/d?host=/nonexistent").await;
    assert!(
        sentence.contains("/nonexistent/.s.PGSQL.5432"),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_database_with_another_encoding_is_told() {
    let url = postgres::fresh();
    let (server, name) = url.rsplit_once('/').expect("a path");
    sql(
        &url,
        &format!(
            "create database {name}_latin template template0 encoding 'LATIN1' locale 'C' locale_provider libc"
        ),
    );
    let sentence = refusal(&format!("{server}/{name}_latin")).await;
    assert!(sentence.contains("stores texts as LATIN1"), "{sentence}");
}

#[tokio::test]
async fn a_database_that_forgets_commits_is_told() {
    let url = postgres::fresh();
    let name = url.rsplit_once('/').expect("a path").1;
    sql(
        &url,
        &format!("alter database {name} set synchronous_commit = off"),
    );
    let sentence = refusal(&url).await;
    assert!(
        sentence.contains("`synchronous_commit` switched off"),
        "{sentence}"
    );
}

/// A message of the protocol.
fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![tag];
    message.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    message.extend_from_slice(body);
    message
}

#[tokio::test]
async fn a_server_that_is_too_old_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("a client");
        let mut buffer = [0; 4096];
        assert_ne!(client.read(&mut buffer).expect("a greeting"), 0);
        let mut greeting = message(b'R', &0u32.to_be_bytes());
        greeting.extend(message(b'Z', b"I"));
        client.write_all(&greeting).expect("answered");
        assert_ne!(client.read(&mut buffer).expect("a question"), 0);
        let mut columns = vec![0, 1];
        columns.extend_from_slice(b"current_setting\0");
        columns.extend_from_slice(&[0; 6]);
        columns.extend_from_slice(&25u32.to_be_bytes());
        columns.extend_from_slice(&[0; 8]);
        let mut answer = message(b'T', &columns);
        answer.extend(message(b'D', b"\0\x01\0\0\0\x0512.17"));
        answer.extend(message(b'C', b"SELECT 1\0"));
        answer.extend(message(b'Z', b"I"));
        client.write_all(&answer).expect("answered");
    });
    let url = format!("postgres://u:test@127.0.0.1:{port}/d?sslmode=disable");
    let sentence = refusal(&url).await;
    assert!(
        sentence.contains("runs PostgreSQL 12.17; Landfall needs 13 or later"),
        "{sentence}"
    );
    server.join().expect("the server");
}

#[tokio::test]
async fn a_server_that_talks_nonsense_is_no_panic() {
    for nonsense in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"R\0\0\0\x04",
        b"E\0\0\0\x05\0",
        b"R\xff\xff\xff\xff",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let server = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("a client");
            let mut buffer = [0; 4096];
            assert_ne!(client.read(&mut buffer).expect("a greeting"), 0);
            client.write_all(nonsense).expect("answered");
        });
        let url = format!("postgres://u:test@127.0.0.1:{port}/d?sslmode=disable");
        let opened = Database::open_postgres(&PostgresOptions::new(url)).await;
        opened.expect_err("that was no PostgreSQL");
        server.join().expect("the server");
    }
}

#[tokio::test]
async fn a_password_is_not_told_to_a_server_that_speaks_no_tls() {
    for mode in ["prefer", "disable"] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let server = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("a client");
            let mut buffer = [0; 4096];
            if mode == "prefer" {
                assert_eq!(client.read(&mut buffer).expect("a question"), 8);
                client.write_all(b"N").expect("answered");
            }
            assert_ne!(client.read(&mut buffer).expect("a greeting"), 0);
            let wanted = message(b'R', &3u32.to_be_bytes());
            client.write_all(&wanted).expect("answered");
            let mut told = Vec::new();
            // The client may reset the connection.
            let _ = client.read_to_end(&mut told);
            told
        });
        let url = format!("postgres://u:test@127.0.0.1:{port}/d?sslmode={mode}");
        let sentence = refusal(&url).await;
        assert!(sentence.contains("needs TLS"), "{sentence}");
        let told = server.join().expect("the server");
        assert_eq!(told, b"", "the password went out with sslmode={mode}");
    }
}

async fn one(url: &str) -> Result<u64, Error> {
    let database = Database::open_postgres(&PostgresOptions::new(url)).await?;
    let row = database.row("select 1 where ?1 = 7", params![7u64], |row| row.get(0));
    assert_eq!(row.await?, Some(1u64));
    let written = database.write(|tx| {
        tx.execute_script("create table if not exists big(content BYTEA)")?;
        tx.execute("insert into big values (?1)", params![vec![5u8; 300_000]])?;
        tx.number("select max(length(content)) from big", params![])
    });
    written.await
}

#[tokio::test]
async fn tls_is_spoken_as_the_url_asks() {
    let cluster = Cluster::start();
    let data = cluster.directory().join("data");
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let certified = certified.expect("a certificate");
    let pem = cluster.directory().join("server.pem");
    std::fs::write(&pem, certified.cert.pem()).expect("written");
    std::fs::write(data.join("server.crt"), certified.cert.pem()).expect("written");
    let key = data.join("server.key");
    std::fs::write(&key, certified.signing_key.serialize_pem()).expect("written");
    // Root may own the key of a server that runs as somebody else, whose group
    // reads it.
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).expect("set");
    let owner = std::os::unix::fs::MetadataExt::uid(&data.metadata().expect("metadata"));
    std::os::unix::fs::chown(&key, Some(owner), None).expect("owned");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("set");
    sql(&cluster.url(), "alter system set ssl = on");
    cluster.stop();
    cluster.resume();
    let url = cluster.fresh().replace("127.0.0.1", "localhost");
    for mode in ["prefer", "require", "disable"] {
        let number = one(&format!("{url}?sslmode={mode}")).await;
        assert_eq!(number.expect(mode), 300_000);
    }
    let verified = format!("{url}?sslmode=verify-full&sslrootcert={}", pem.display());
    assert_eq!(one(&verified).await.expect("trusted"), 300_000);
    let other_name = verified.replace("localhost", "127.0.0.1");
    let error = one(&other_name).await.expect_err("another name");
    assert!(error.to_string().contains("certificate"), "{error}");
    let error = one(&format!("{url}?sslmode=verify-full")).await;
    let error = error.expect_err("nobody vouches for it");
    assert!(error.to_string().contains("certificate"), "{error}");
    let hba = "local all all scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
    std::fs::write(data.join("pg_hba.conf"), hba).expect("written");
    cluster.stop();
    cluster.resume();
    assert_eq!(
        one(&format!("{url}?sslmode=require")).await.expect("TLS"),
        300_000
    );
    let error = one(&format!("{url}?sslmode=disable")).await;
    let error = error.expect_err("the server wants TLS").to_string();
    assert!(error.contains("does not let `landfall` in"), "{error}");
}

#[tokio::test]
async fn a_local_socket_is_used_where_the_url_names_its_folder() {
    let cluster = Cluster::start();
    let url = format!(
        "postgres://landfall:test@localhost:{}/postgres?host={}",
        cluster.port(),
        cluster.directory().display()
    );
    assert_eq!(one(&url).await.expect("a socket"), 300_000);
}
