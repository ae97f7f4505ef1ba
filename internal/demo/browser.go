package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// open gets a link as a person without a session would, and says where it led.
func (s *story) open(ctx context.Context, link string) (string, *url.URL, error) {
	return s.fetch(ctx, http.MethodGet, link, nil)
}

func (s *story) fetch(ctx context.Context, method, target string, fields url.Values) (string, *url.URL, error) {
	var body io.Reader
	if fields != nil {
		body = strings.NewReader(fields.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return "", nil, errors.New("the address cannot be read")
	}
	req.Header.Set("Accept", "text/html")
	if fields != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		// A browser says which site the form came from.
		req.Header.Set("Origin", req.URL.Scheme+"://"+req.URL.Host)
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	res, err := s.person.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) { // its text carries the link, which is a capability
			err = u.Err
		}
		return "", nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return "", nil, err
	}
	if res.StatusCode != http.StatusOK {
		return "", nil, fmt.Errorf("%s gives %d%s", method, res.StatusCode, said(raw))
	}
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
		return "", nil, fmt.Errorf("%s gives %s and no view", method, res.Header.Get("Content-Type"))
	}
	return string(raw), res.Request.URL, nil
}

// form is what a button sends.
type form struct {
	action string
	fields url.Values
}

// findForm gives the first form that posts and asks the person for nothing: a button.
func findForm(text string, at *url.URL) (form, error) {
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		return form{}, err
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode || n.Data != "form" || !strings.EqualFold(attribute(n, "method"), "post") {
			continue
		}
		f, button, asks := form{fields: url.Values{}}, false, false
		for c := range n.Descendants() {
			switch {
			case c.Type == html.ElementNode && c.Data == "button":
				button = true
				if name := attribute(c, "name"); name != "" {
					f.fields.Set(name, attribute(c, "value"))
				}
			case c.Type == html.ElementNode && c.Data == "input" && attribute(c, "type") == "hidden":
				f.fields.Set(attribute(c, "name"), attribute(c, "value"))
			case c.Type == html.ElementNode && c.Data == "input":
				asks = true
			}
		}
		if !button || asks {
			continue
		}
		to, err := at.Parse(attribute(n, "action"))
		if err != nil {
			return form{}, err
		}
		f.action = to.String()
		return f, nil
	}
	return form{}, errors.New("the page's link shows no button to acknowledge with")
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
