//! pf, as FreeBSD and OpenBSD have it: an anchor of our own.

use super::front;
use super::text::{Text, place};
use crate::policy::{Action, Hook, Plan, Target};

pub(super) fn render(plan: &Plan) -> String {
    let mut text = Text::default();
    front::head(
        &mut text,
        plan,
        Target::Pf,
        false,
        &[
            (
                "once",
                "a line `anchor imwarden` in pf.conf, before the rules that pass",
            ),
            ("check", "pfctl -n -a imwarden -f FILE"),
            (
                "load",
                "pfctl -a imwarden -f FILE; open sessions end with pfctl -k HOST",
            ),
            ("watch", "pfctl -a imwarden -v -s rules"),
            ("remove", "pfctl -a imwarden -F rules"),
        ],
    );
    let verdict = match plan.action {
        Action::Drop => "block drop",
        _ => "block return",
    };
    let mut exceptions = "any";
    if !plan.exceptions.is_empty() {
        let nets: Vec<String> = plan.exceptions.iter().map(|net| place(*net)).collect();
        text.line(format!(
            "table <imwarden_except> const {{ {} }}",
            nets.join(", ")
        ));
        exceptions = "!<imwarden_except>";
    }
    // A router sees a connection twice: where it comes in is enough.
    let mut ways: Vec<&str> = plan
        .hooks
        .iter()
        .map(|hook| match hook {
            Hook::Forward | Hook::Input => "in",
            Hook::Output => "out",
        })
        .collect();
    ways.dedup();
    for line in front::lines(plan) {
        if let Some(net) = [line.from, line.to]
            .into_iter()
            .flatten()
            .find(|net| plan.exceptions.iter().any(|it| it.contains(net)))
        {
            text.line(format!("# {} is left alone: {}", place(net), line.comment));
            continue;
        }
        let end = |net: Option<ipnet::IpNet>| net.map_or(exceptions.to_owned(), place);
        let port = line
            .range(':')
            .map(|range| format!(" port {range}"))
            .unwrap_or_default();
        for way in &ways {
            text.line(format!(
                "{verdict} {way} quick proto {} from {} to {}{port} label \"imwarden {}\"",
                line.proto(),
                end(line.from),
                end(line.to),
                line.comment
            ));
        }
    }
    text.finish()
}
