vcl 4.1;

import std;

# An edge that behaves as CloudFront does with the printed template. Its numbers come from there.

backend origin {
    .host = "{{.Host}}";
    .port = "{{.Port}}";
    .connect_timeout = {{.ConnectionTimeout}}s;
    .first_byte_timeout = {{.ReadTimeout}}s;
    .between_bytes_timeout = {{.ReadTimeout}}s;
}

sub vcl_recv {
    if (req.url == "/edge-is-up") {
        return (synth(200));
    }
    if (req.restarts == 0) {
        unset req.http.X-Step;
        unset req.http.X-Status;
        set req.grace = 24h;
        unset req.http.Cookie;
        unset req.http.Origin;
        unset req.http.Referer;
        if (req.url ~ "^[^?]*\.m3u8(\?|$)") {
            if (req.http.Accept-Encoding ~ "gzip") {
                set req.http.Accept-Encoding = "gzip";
            } else {
                unset req.http.Accept-Encoding;
            }
            set req.http.X-Query = "&" + regsub(req.url, "^[^?]*\??", "");
            set req.http.X-Query = regsuball(req.http.X-Query, "&(?!(?:{{.QueryPattern}})(?:=|&|$))[^&]*", "");
            set req.url = regsub(req.url, "\?.*$", "");
            if (req.http.X-Query != "") {
                set req.url = req.url + "?" + regsub(req.http.X-Query, "^&", "");
            }
            unset req.http.X-Query;
        } else {
            unset req.http.Accept-Encoding;
            set req.url = regsub(req.url, "\?.*$", "");
        }
        if (req.method == "OPTIONS") {
            return (pass);
        }
        if (req.method != "GET" && req.method != "HEAD") {
            return (synth(403));
        }
    }
    return (hash);
}

sub vcl_hash {
    hash_data(req.url);
    if (req.http.X-Step ~ "^(check|mark|final)$") {
        hash_data("error");
    }
    if (req.http.Accept-Encoding) {
        hash_data(req.http.Accept-Encoding);
    }
    return (lookup);
}

# A request walks by X-Step, for Varnish knows no copy that is shown in errors alone, and would throw it away for the error:
#
#     (none)  look for a copy: a fresh one is the answer
#     check   else look for the mark of an error: it stands beside the copy, and lives as long as CloudFront keeps the error
#     fetch   else ask the origin, one for all who wait
#     mark    it failed: leave a mark
#     stale   in an error, show the copy, however old
#     final   or, where there is none, the error

sub vcl_hit {
    if (!req.http.X-Step && obj.ttl <= 0s) {
        set req.http.X-Step = "check";
        return (restart);
    }
    if (req.http.X-Step == "check" || req.http.X-Step == "mark") {
        set req.http.X-Step = "stale";
        return (restart);
    }
}

sub vcl_miss {
    if (!req.http.X-Step) {
        set req.http.X-Step = "check";
        return (restart);
    }
    if (req.http.X-Step == "check") {
        set req.http.X-Step = "fetch";
        set req.grace = 0s;
        return (restart);
    }
    if (req.http.X-Step == "stale") {
        set req.http.X-Step = "final";
        return (restart);
    }
}

sub vcl_backend_fetch {
    if (bereq.is_bgfetch) {
        # Varnish would look after what it shows in the background; CloudFront lets the age of the error pass.
        return (abandon);
    }
    if (bereq.http.X-Step == "mark" || bereq.http.X-Step == "final") {
        return (error(std.integer(bereq.http.X-Status, 503), "Origin Error"));
    }
    unset bereq.http.X-Step;
    unset bereq.http.X-Status;
    unset bereq.http.X-Forwarded-For;
    set bereq.http.User-Agent = "Amazon CloudFront";
    set bereq.url = "{{.OriginPath}}" + bereq.url;
{{- if .SecretHeader}}
    set bereq.http.{{.SecretHeader}} = "{{.Secret}}";
{{- end}}
}

sub vcl_backend_response {
    if (beresp.status >= 500) {
        return (error(beresp.status, beresp.reason));
    }
    # For a shared cache s-maxage counts before max-age (RFC 9111 5.2.2.10).
    set bereq.http.X-Age = regsub(regsub(beresp.http.Cache-Control, "^.*s-maxage=", "max-age="), "^.*max-age=([0-9]+).*$", "\1s");
    if (beresp.status >= 400) {
        # The longer of the rule and what the origin says; without a rule it is 10 s.
        set beresp.ttl = 10s;
{{- range .Errors}}
        if (beresp.status == {{.Status}}) { set beresp.ttl = {{.Seconds}}s; }
{{- end}}
        if (std.duration(bereq.http.X-Age, 0s) > beresp.ttl) {
            set beresp.ttl = std.duration(bereq.http.X-Age, 0s);
        }
        set beresp.grace = 0s;
        set beresp.keep = 0s;
        set beresp.uncacheable = false;
        return (deliver);
    }
    if (bereq.url ~ "\.m3u8(\?|$)") {
        set beresp.ttl = std.duration(bereq.http.X-Age, {{.Playlists.Default}}s);
        if (beresp.ttl < {{.Playlists.Min}}s) { set beresp.ttl = {{.Playlists.Min}}s; }
        if (beresp.ttl > {{.Playlists.Max}}s) { set beresp.ttl = {{.Playlists.Max}}s; }
    } else {
        set beresp.ttl = std.duration(bereq.http.X-Age, {{.Segments.Default}}s);
        if (beresp.ttl < {{.Segments.Min}}s) { set beresp.ttl = {{.Segments.Min}}s; }
        if (beresp.ttl > {{.Segments.Max}}s) { set beresp.ttl = {{.Segments.Max}}s; }
    }
    # In an error of the origin the copy is shown, however old, where the origin sets no end to it.
    set beresp.grace = std.duration(regsub(beresp.http.Cache-Control, "^.*stale-if-error=([0-9]+).*$", "\1s"), 24h);
    # Expired copies are asked about by their ETag.
    set beresp.keep = 24h;
    return (deliver);
}

sub vcl_backend_error {
    set beresp.ttl = 0s;
    set beresp.grace = 0s;
    set beresp.keep = 0s;
{{- range .Errors}}{{if not .Seconds}}
    if (!bereq.http.X-Step && beresp.status == {{.Status}}) {
        # What nobody may keep those who waited for it ask for all at once, and not one after the other.
        set beresp.uncacheable = true;
        set beresp.ttl = 1s;
    }
{{- end}}{{end}}
    if (bereq.http.X-Step) {
        set beresp.ttl = 10s;
{{- range .Errors}}
        if (beresp.status == {{.Status}}) { set beresp.ttl = {{.Seconds}}s; }
{{- end}}
    }
    set beresp.http.Cache-Control = "no-store";
    set beresp.body = "the origin fails";
    return (deliver);
}

sub vcl_deliver {
    if (req.http.X-Step == "fetch" && resp.status >= 500) {
        set req.http.X-Status = resp.status;
        set req.http.X-Step = "mark";
        set req.grace = 24h;
        return (restart);
    }
    if (req.http.X-Step == "mark") {
        set req.http.X-Step = "stale";
        return (restart);
    }
    if (req.http.X-Step == "stale") {
        set resp.http.X-Cache = "Error from edge, stale";
    } elseif (obj.hits > 0) {
        set resp.http.X-Cache = "Hit from edge";
    } else {
        set resp.http.X-Cache = "Miss from edge";
    }
    unset resp.http.X-Varnish;
    set resp.http.Access-Control-Allow-Origin = "*";
}
