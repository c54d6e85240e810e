// SPDX-License-Identifier: BSD-2-Clause
//! Pingora as a reverse proxy, as its documentation and its own example server set it up: settings as they
//! come, jemalloc, a pool of connections to the origin. HTTP on one port, TLS with HTTP/2 on the next ten up,
//! and bytes relayed on the next twenty.
//!
//!     bench-pingora THREADS PORT ORIGIN CERTIFICATE-AND-KEY

use std::sync::Arc;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::connectors::TransportConnector;
use pingora::listeners::tls::TlsSettings;
use pingora::listeners::Listeners;
use pingora::prelude::*;
use pingora::protocols::Stream;
use pingora::server::configuration::ServerConf;
use pingora::server::ShutdownWatch;
use pingora::services::listening::Service;
use pingora::tls::ssl::{SslOptions, SslSessionCacheMode};
use pingora::upstreams::peer::BasicPeer;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const TLS: u16 = 10; // from the port of HTTP to that of TLS
const TCP: u16 = 20;
const RELAY_BUFFER: usize = 64 * 1024;

struct Proxy {
    origin: String,
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn upstream_peer(&self, _: &mut Session, _: &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(&self.origin, false, String::new())))
    }
}

struct Relay {
    connector: TransportConnector,
    origin: BasicPeer,
}

#[async_trait]
impl ServerApp for Relay {
    async fn process_new(self: &Arc<Self>, mut client: Stream, _: &ShutdownWatch) -> Option<Stream> {
        let mut server = self.connector.new_stream(&self.origin).await.ok()?;
        let _ = tokio::io::copy_bidirectional_with_sizes(
            &mut client,
            &mut server,
            RELAY_BUFFER,
            RELAY_BUFFER,
        )
        .await;
        None
    }
}

/// What all subjects have agreed on: no resumption, one cipher, one group.
fn tls_settings(pem: &str) -> TlsSettings {
    let mut settings = TlsSettings::intermediate(pem, pem).expect("certificate and key");
    settings.enable_h2();
    settings.set_session_cache_mode(SslSessionCacheMode::OFF);
    settings.set_options(SslOptions::NO_TICKET);
    settings.set_num_tickets(0).expect("no tickets");
    settings.set_ciphersuites("TLS_AES_128_GCM_SHA256").expect("cipher");
    settings.set_groups_list("X25519:P-256").expect("groups");
    settings
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [threads, port, origin, pem] = words.as_slice() else {
        panic!("usage: bench-pingora THREADS PORT ORIGIN CERTIFICATE-AND-KEY");
    };
    let port: u16 = port.parse().expect("PORT");
    let address = |offset| format!("127.0.0.1:{}", port + offset);
    let settings = ServerConf { threads: threads.parse().expect("THREADS"), ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, settings);
    server.bootstrap();

    let mut http = http_proxy_service(&server.configuration, Proxy { origin: origin.clone() });
    http.add_tcp(&address(0));
    http.add_tls_with_settings(&address(TLS), None, tls_settings(pem));
    let relay = Relay { connector: TransportConnector::new(None), origin: BasicPeer::new(origin) };
    let tcp = Service::with_listeners("relay".into(), Listeners::tcp(&address(TCP)), relay);
    server.add_service(http);
    server.add_service(tcp);
    server.run_forever();
}
