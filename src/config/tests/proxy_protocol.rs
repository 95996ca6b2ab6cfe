//! `proxy-protocol`: balancers, and servers that are told.

use super::*;

#[test]
fn balancers_are_networks_addresses_and_unix_sockets() {
    let text = "proxy-protocol: {accept-from: [10.0.0.0/8, 192.0.2.7, '2001:db8::/32', unix]}";
    let config = right(&format!("{LEAST}{text}\n"));
    let listed = "10.0.0.0/8,192.0.2.7/32,2001:db8::/32,unix";
    assert_eq!(config.balancers.to_string(), listed);
    assert!(config.balancers.unix_socket);
    let variable = ("proxy_protocol_accept_from".to_owned(), listed.to_owned());
    assert!(config.variables().contains(&variable));
    assert_eq!(
        right(LEAST).keys_for_a_restart(&config),
        ["proxy-protocol.accept-from"]
    );
}

#[test]
fn whoever_lists_everybody_as_a_balancer_is_warned() {
    for network in ["0.0.0.0/0", "'::/0'"] {
        let text = format!("{LEAST}proxy-protocol: {{accept-from: [{network}]}}\n");
        let warned = warnings(&text);
        assert_eq!(warned.len(), 1, "{network}");
        assert!(warned[0].contains("can claim any client's address"));
    }
}

#[test]
fn a_proxy_header_is_sent_to_every_server_or_to_one() {
    let both = "from: {host: localhost}\ntarget-database: {host: localhost}\n";
    for (send, expected, variable) in [
        ("false", [false, false], "OFF"),
        ("true", [true, true], "ON"),
        ("source", [true, false], "source"),
        ("target", [false, true], "target"),
    ] {
        let config = right(&format!("{both}proxy-protocol: {{send: {send}}}\n"));
        let told: Vec<_> = config
            .backends
            .iter()
            .map(|each| each.sends_proxy_header)
            .collect();
        assert_eq!(told, expected, "{send}");
        let variable = ("proxy_protocol_send".to_owned(), variable.to_owned());
        assert!(config.variables().contains(&variable), "{send}");
        let changed: &[_] = if send == "false" {
            &[]
        } else {
            &["proxy-protocol.send"]
        };
        assert_eq!(right(both).keys_for_a_restart(&config), changed);
    }
}
