package config

import (
	"net/url"
	"time"
)

const longestTimeout = 25 * time.Second // an attempt is cut short after 30 s anyway

func (c Channel) checkWebhook(where string, fault func(format string, args ...any)) {
	if c.SecretFile == "" {
		fault("%s: a webhook channel needs secret_file", where)
	}
	if (c.URL == "") == (c.URLFile == "") {
		fault("%s: a webhook channel needs either url or url_file", where)
	}
	if u, err := url.Parse(c.URL); c.URL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		fault("%s: url must be an https address, for example https://hooks.example.com/tocsin", where)
	}
	if c.Timeout < 0 || c.Timeout > longestTimeout {
		fault("%s: timeout must be at most %s", where, longestTimeout)
	}
}
