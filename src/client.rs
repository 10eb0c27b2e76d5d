//! The HTTP client: how requests leave, whoever makes them.

use std::time::Duration;
use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use ureq::typestate::AgentScope;

/// What all clients have in common: the system's TLS and root certificates, our name, answers of any status as answers.
/// A request takes at most so long.
pub fn agent(timeout: Duration) -> ConfigBuilder<AgentScope> {
    let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(RootCerts::PlatformVerifier);
    Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .user_agent(concat!("fundwatch/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls.build())
}
