//! What is where, and the headers that keep a browser from doing more with it than show it.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};

use super::Handles;
use super::host::Hosts;
use super::page;
use super::probe::Probe;
use super::status::Status;
use crate::rules::ClientAddress;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
/// The version of Prometheus' text format.
const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// No page of another origin may embed an answer, not even as a picture.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Answers requests.
#[derive(Debug)]
pub(super) struct Answers {
    hosts: Hosts,
    handles: Handles,
    content_policy: HeaderValue,
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resource {
    Page,
    Metrics,
    Probe(Probe),
}

impl Resource {
    fn at(path: &str) -> Option<Self> {
        match path {
            "/" => Some(Self::Page),
            "/metrics" => Some(Self::Metrics),
            "/livez" => Some(Self::Probe(Probe::Live)),
            "/readyz" => Some(Self::Probe(Probe::Ready)),
            "/startupz" => Some(Self::Probe(Probe::Startup)),
            _ => None,
        }
    }
}

impl Answers {
    /// `hosts`: names with a dot that are answered to.
    pub(super) fn new(hosts: &[String], handles: Handles) -> Self {
        Self {
            hosts: Hosts::new(hosts),
            handles,
            content_policy: content_policy(),
        }
    }

    /// Answers a request; its body, if it has one, is not read.
    pub(super) async fn to<B>(
        &self,
        request: &Request<B>,
        peer: ClientAddress,
    ) -> Response<String> {
        let mut response = self.choose(request, peer).await;
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, self.content_policy.clone());
        for (name, value) in [
            (CACHE_CONTROL, "no-store"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (X_FRAME_OPTIONS, "DENY"),
            (REFERRER_POLICY, "no-referrer"),
            (RESOURCE_POLICY, "same-origin"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }

    async fn choose<B>(&self, request: &Request<B>, peer: ClientAddress) -> Response<String> {
        if !self.admits_host(request, peer) {
            return text(
                StatusCode::MISDIRECTED_REQUEST,
                "mytls does not answer to this name: use an address, or write the name under http.hosts",
            );
        }
        let Some(resource) = Resource::at(request.uri().path()) else {
            let known = "not found: there are /, /metrics, /livez, /readyz and /startupz";
            return text(StatusCode::NOT_FOUND, known);
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only");
            let allowed = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, allowed);
            return response;
        }
        match resource {
            Resource::Page => {
                let page = page::page(&Status::of(&self.handles).await);
                response(StatusCode::OK, HTML, page)
            }
            Resource::Metrics => response(StatusCode::OK, METRICS, (self.handles.metrics)()),
            Resource::Probe(probe) => self.probe(probe, request.uri().query()).await,
        }
    }

    /// No browser speaks to a Unix socket, and programs that send no `Host` (HTTP/1.0) are none.
    fn admits_host<B>(&self, request: &Request<B>, peer: ClientAddress) -> bool {
        let named = request.uri().authority().map(|name| Some(name.as_str()));
        let mut all = request
            .headers()
            .get_all(HOST)
            .iter()
            .map(|host| host.to_str().ok())
            .chain(named);
        peer == ClientAddress::UnixSocket
            || all.all(|host| host.is_some_and(|host| self.hosts.admit(host)))
    }

    async fn probe(&self, probe: Probe, query: Option<&str>) -> Response<String> {
        let verdict = probe.ask(&self.handles).await;
        let status = if verdict.is_good() {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        let is_verbose = |query: &str| {
            let mut keys = query.split('&').filter_map(|pair| pair.split('=').next());
            keys.any(|key| key == "verbose")
        };
        if query.is_some_and(is_verbose) {
            text(status, &verdict.in_full())
        } else {
            text(status, &verdict.in_a_line())
        }
    }
}

/// Nothing but the page's own style, and the empty icon without which a browser would ask for one.
fn content_policy() -> HeaderValue {
    let hash = BASE64_STANDARD.encode(digest(&SHA256, page::STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).expect("printable ASCII")
}

fn text(status: StatusCode, line: &str) -> Response<String> {
    response(status, TEXT, format!("{line}\n"))
}

fn response(status: StatusCode, content_type: HeaderValue, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
