//! Databases for tests are fresh, and servers stop and start.

use landfall_services::postgres::{self, Cluster, sql};

#[test]
fn every_call_gives_another_empty_database() {
    let (one, other) = (postgres::fresh(), postgres::fresh());
    assert_ne!(&*one, &*other);
    sql(&one, "create table only_here(name text)");
    let tables = "select count(*) from pg_tables where schemaname = 'public'";
    assert_eq!(sql(&one, tables), "1");
    assert_eq!(sql(&other, tables), "0");
}

#[test]
fn texts_do_not_sort_by_their_bytes_unless_asked() {
    let database = postgres::fresh();
    assert_eq!(sql(&database, "select 'B' < 'a'"), "f");
    assert_eq!(sql(&database, "select 'B' collate \"C\" < 'a'"), "t");
}

#[test]
fn a_cluster_of_its_own_stops_and_starts_with_its_data() {
    let cluster = Cluster::start();
    let database = cluster.fresh();
    sql(&database, "create table kept(name text)");
    cluster.stop();
    let refused = std::net::TcpStream::connect(("127.0.0.1", cluster.port()));
    assert!(refused.is_err(), "the server still listens");
    cluster.resume();
    assert_eq!(sql(&database, "select count(*) from kept"), "0");
    let directory = cluster.directory().to_owned();
    drop(cluster);
    assert!(!directory.exists(), "the cluster left its folder");
}
