//! What is measured of every request.

use std::sync::OnceLock;
use std::time::Duration;

use http::{Method, StatusCode};
use metrics::{Gauge, Histogram};

use super::{Metrics, names};

/// The methods that get a name of their own; the conventions call every other one `_OTHER`.
const METHODS: [Method; 9] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::HEAD,
    Method::OPTIONS,
    Method::PATCH,
    Method::CONNECT,
    Method::TRACE,
];
const OTHER_METHOD: &str = "_OTHER";

/// The statuses that get a series of their own. Others, which only upstreams come up with, are counted by their class.
const STATUSES: [u16; 19] = [
    200, 400, 401, 402, 403, 404, 405, 408, 409, 413, 415, 422, 424, 429, 499, 500, 502, 503, 504,
];
const CLASSES: [&str; 6] = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// The series of one route. Each is made when it is first needed.
pub(crate) struct EndpointMetrics {
    metrics: Metrics,
    /// The pattern; none for paths that match no route.
    route: Option<&'static str>,
    active: Gauge,
    rows: [OnceLock<Row>; METHODS.len() + 1],
}

/// The durations of one method, by status.
type Row = Box<[OnceLock<Histogram>; STATUSES.len() + CLASSES.len()]>;

impl EndpointMetrics {
    pub(crate) fn new(metrics: &Metrics, route: Option<&'static str>) -> Self {
        let labels = Vec::from_iter(route.map(|route| ("http_route", route.to_owned())));
        Self {
            active: metrics.record(|| metrics::gauge!(names::HTTP_ACTIVE, &labels)),
            metrics: metrics.clone(),
            route,
            rows: Default::default(),
        }
    }

    /// A request begins.
    pub(crate) fn begin(&self) {
        self.active.increment(1.0);
    }

    /// A request that began has ended.
    pub(crate) fn end(&self, method: &Method, status: u16, elapsed: Duration) {
        self.active.decrement(1.0);
        let row = METHODS
            .iter()
            .position(|known| known == method)
            .unwrap_or(METHODS.len());
        let column = STATUSES
            .iter()
            .position(|known| *known == status)
            .unwrap_or_else(|| STATUSES.len() + class(status));
        self.rows[row].get_or_init(Row::default)[column]
            .get_or_init(|| self.duration(row, column))
            .record(elapsed.as_secs_f64());
    }

    fn duration(&self, row: usize, column: usize) -> Histogram {
        let method = METHODS.get(row).map_or(OTHER_METHOD, Method::as_str);
        let status = match STATUSES.get(column) {
            Some(status) => status.to_string(),
            None => CLASSES[column - STATUSES.len()].to_owned(),
        };
        let mut labels = vec![
            ("http_request_method", method.to_owned()),
            ("http_response_status_code", status),
        ];
        labels.extend(self.route.map(|route| ("http_route", route.to_owned())));
        self.metrics
            .record(|| metrics::histogram!(names::HTTP_DURATION, &labels))
    }
}

fn class(status: u16) -> usize {
    match StatusCode::from_u16(status) {
        Ok(status) if status.as_u16() < 600 => usize::from(status.as_u16() / 100),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_and_statuses_are_bounded() {
        let metrics = Metrics::new();
        let endpoint = EndpointMetrics::new(&metrics, None);
        for method in ["GET", "BREW", "STEEP"] {
            for status in 100..=1000 {
                endpoint.begin();
                endpoint.end(&method.parse().unwrap(), status, Duration::ZERO);
            }
        }
        let text = metrics.render();
        let series = |line: &&str| line.starts_with("http_server_request_duration_seconds_count");
        // Of 100 to 999 each status that is known, the five classes that exist, and `other`.
        assert_eq!(
            text.lines().filter(series).count(),
            2 * (STATUSES.len() + CLASSES.len()),
            "{text}"
        );
        let brewed = "_count{http_request_method=\"_OTHER\",http_response_status_code=\"4xx\"}";
        assert!(text.contains(brewed), "{text}");
        let count = |class| {
            let labels = format!("{{http_request_method=\"GET\",http_response_status_code=\"{class}\"}}");
            let line = format!("http_server_request_duration_seconds_count{labels} ");
            text.lines().find_map(|text| text.strip_prefix(line.as_str()))
        };
        assert_eq!((count("1xx"), count("other")), (Some("100"), Some("401")), "{text}");
        assert!(text.contains("http_server_active_requests 0\n"), "{text}");
    }
}
