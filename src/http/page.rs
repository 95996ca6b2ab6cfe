//! The status page: HTML for people, without a script. Every text on it is escaped, whoever chose it.

use std::fmt::{self, Display, Write as _};

use super::status::{Certificate, Endpoint, Reason, Status};
use crate::backend::EndpointState;
use crate::session::{State, Verdict};

/// The page's style; its hash is in the content policy.
pub(super) const STYLE: &str = include_str!("page.css");

/// How often a browser asks again.
const REFRESH_SECONDS: u32 = 10;

/// As the log warns of them.
const SOON_DAYS: i64 = 30;

/// How a cell looks.
#[derive(Debug, Clone, Copy)]
enum Look {
    Text,
    Number,
    Good,
    Soon,
    Bad,
}

impl Look {
    fn class(self) -> &'static str {
        match self {
            Self::Text => "",
            Self::Number => "number",
            Self::Good => "good",
            Self::Soon => "soon",
            Self::Bad => "bad",
        }
    }
}

/// HTML as it is written.
#[derive(Debug, Default)]
struct Html(String);

/// The page.
pub(super) fn page(status: &Status) -> String {
    let mut html = Html::default();
    html.raw(&format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta http-equiv=\"refresh\" content=\"{REFRESH_SECONDS}\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>mytls</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    ));
    html.head(status);
    html.sessions(status);
    html.backends(&status.endpoints);
    html.certificates(&status.certificates);
    html.refusals(status);
    html.raw("</body>\n</html>\n");
    html.0
}

impl Html {
    fn head(&mut self, status: &Status) {
        self.raw("<h1>mytls ");
        let (look, readiness) = if status.is_ready {
            (Look::Good, "ready")
        } else {
            (Look::Bad, status.readiness.as_str())
        };
        self.element("span", look, readiness);
        self.raw("</h1>\n");
        let (version, up) = (
            env!("CARGO_PKG_VERSION"),
            humantime::format_duration(status.uptime),
        );
        let line = format!(
            "version {version} · up {up} · new sessions go to the {}",
            status.route
        );
        self.element("p", Look::Text, line);
        self.raw("<p class=\"dim\"><a href=\"/metrics\">metrics</a> · <a href=\"/readyz?verbose\">readyz</a></p>\n");
    }

    fn sessions(&mut self, status: &Status) {
        self.heading("Sessions");
        self.table(&[
            ("Now", Look::Text),
            ("", Look::Number),
            ("Since the start", Look::Text),
            ("", Look::Number),
        ]);
        let totals = &status.totals;
        let since = [
            ("connections", totals.accepted),
            ("logged in", totals.logged_in),
            ("refused, by mytls or the server", totals.refused),
            ("came to nothing", totals.aborted),
        ];
        let all = status.sessions.iter().map(|(_, count)| count).sum();
        let now = status
            .sessions
            .map(|(state, count)| (in_words(state), count));
        let now = now.into_iter().chain([("in all", all)]);
        for ((state, count), (what, total)) in now.zip(since) {
            self.raw("<tr>");
            self.cell(Look::Text, state);
            self.cell(Look::Number, count);
            self.cell(Look::Text, what);
            self.cell(Look::Number, total);
            self.raw("</tr>\n");
        }
        self.raw("</table>\n");
    }

    fn backends(&mut self, endpoints: &[Endpoint]) {
        self.heading("Servers");
        self.table(&[
            ("Route", Look::Text),
            ("Address", Look::Text),
            ("Version", Look::Text),
            ("TLS", Look::Text),
            ("Sessions", Look::Number),
            ("State", Look::Text),
        ]);
        for endpoint in endpoints {
            self.raw("<tr>");
            self.cell(Look::Text, endpoint.role);
            self.cell(Look::Text, &endpoint.address);
            self.cell(Look::Text, &endpoint.version);
            self.cell(Look::Text, if endpoint.has_tls { "yes" } else { "no" });
            self.cell(Look::Number, endpoint.sessions);
            let look = match endpoint.state {
                EndpointState::Ready => Look::Good,
                EndpointState::NotSeen | EndpointState::Draining { .. } => Look::Soon,
                EndpointState::LeftAlone(_) => Look::Bad,
            };
            self.cell(look, &endpoint.state);
            self.raw("</tr>\n");
        }
        self.raw("</table>\n");
    }

    fn certificates(&mut self, certificates: &[Certificate]) {
        self.heading("Certificates in force");
        self.table(&[
            ("Place", Look::Text),
            ("What", Look::Text),
            ("Subject", Look::Text),
            ("Expires", Look::Text),
            ("Days left", Look::Number),
        ]);
        for certificate in certificates {
            let Certificate {
                channel,
                expiry,
                days_left,
            } = certificate;
            let look = match days_left {
                ..0 => Look::Bad,
                0..=SOON_DAYS => Look::Soon,
                _ => Look::Text,
            };
            self.raw("<tr>");
            self.cell(Look::Text, channel);
            self.cell(Look::Text, expiry.what);
            self.cell(Look::Text, &expiry.subject);
            self.cell(look, expiry.end());
            self.cell(Look::Number, days_left);
            self.raw("</tr>\n");
        }
        self.raw("</table>\n");
    }

    fn refusals(&mut self, status: &Status) {
        self.heading("Refused");
        if status.reasons.is_empty() {
            self.element("p", Look::Text, "Nobody.");
            return;
        }
        self.table(&[
            ("Last", Look::Text),
            ("Times", Look::Number),
            ("", Look::Text),
            ("Reason", Look::Text),
        ]);
        for reason in &status.reasons {
            let Reason {
                verdict,
                text,
                count,
                last,
            } = reason;
            let verdict = match verdict {
                Verdict::Refused => "refused",
                Verdict::Reported => "only reported",
            };
            self.raw("<tr>");
            self.cell(Look::Text, humantime::format_rfc3339_seconds(*last));
            self.cell(Look::Number, count);
            self.cell(Look::Text, verdict);
            self.cell(Look::Text, text);
            self.raw("</tr>\n");
        }
        self.raw("</table>\n");
        if status.more_reasons > 0 {
            let more = format!("and {} more reasons, seen longer ago", status.more_reasons);
            self.element("p", Look::Text, more);
        }
    }

    fn heading(&mut self, text: &str) {
        self.element("h2", Look::Text, text);
    }

    /// Opens a table with these columns.
    fn table(&mut self, columns: &[(&str, Look)]) {
        self.raw("<table>\n<tr>");
        for (name, look) in columns {
            self.element("th", *look, name);
        }
        self.raw("</tr>\n");
    }

    fn cell(&mut self, look: Look, text: impl Display) {
        self.element("td", look, text);
    }

    /// An element with a text in it, escaped.
    fn element(&mut self, tag: &str, look: Look, text: impl Display) {
        self.raw("<");
        self.raw(tag);
        if !look.class().is_empty() {
            self.raw(" class=\"");
            self.raw(look.class());
            self.raw("\"");
        }
        self.raw(">");
        write!(Escape(&mut self.0), "{text}").expect("a string takes all");
        self.raw("</");
        self.raw(tag);
        self.raw(">");
    }

    /// HTML of our own.
    fn raw(&mut self, html: &str) {
        self.0 += html;
    }
}

fn in_words(state: State) -> &'static str {
    match state {
        State::LoggingIn => "logging in",
        State::Connecting => "connecting to the server",
        State::Relaying => "logged in",
    }
}

/// Writes text so that it is text in HTML, and stands where it was put: without what turns the direction of writing.
struct Escape<'a>(&'a mut String);

impl fmt::Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}' => self.0.push('\u{fffd}'),
                control if control.is_control() => self.0.push('\u{fffd}'),
                other => self.0.push(other),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_html_or_turns_its_line_round() {
        let mut html = Html::default();
        let hostile = "</td><script>alert('1')</script>&\"\u{202e}\0\u{1b}[2Jé";
        html.cell(Look::Bad, hostile);
        let expected = "<td class=\"bad\">&lt;/td&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;\
                        \u{fffd}\u{fffd}\u{fffd}[2Jé</td>";
        assert_eq!(html.0, expected);
    }
}
