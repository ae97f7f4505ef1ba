package smtp

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/mail"
	"slices"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"github.com/tocsin-alerting/tocsin/channel"
	"github.com/tocsin-alerting/tocsin/problem"
)

//go:embed page.html
var pageHTML string

var page = template.Must(template.New("page").Parse(pageHTML))

// message makes the mail. What came from outside is brought onto one line
// before it becomes a header; an address that is not one is refused.
func (m *Mail) message(p channel.Page) (*gomail.Msg, error) {
	to, err := mail.ParseAddress(p.To)
	if err != nil || hasControl(p.To) {
		return nil, problem.New(problem.Invalid, "the person's mail address cannot be used").WithHint("correct the contact in the catalog, for example anna@example.com")
	}
	// The library reads an address again before it sends: give it the bare one.
	to = &mail.Address{Name: line(p.Name), Address: to.Address}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(m.from)
	msg.ToMailAddress(to)
	msg.Subject(line(p.Subject))
	msg.SetDateWithValue(m.o.Now())
	msg.SetMessageIDWithValue(atom(p.ID) + "@" + m.domain)
	if p.ThreadKey != "" {
		thread := "<incident." + digest(p.ThreadKey) + "@" + m.domain + ">"
		msg.SetGenHeader(gomail.HeaderReferences, thread)
		msg.SetGenHeader(gomail.HeaderInReplyTo, thread)
	}
	msg.SetImportance(gomail.ImportanceUrgent)
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	html, err := render(p)
	if err != nil {
		return nil, problem.Wrap(err, problem.Internal, "the page could not be written as HTML")
	}
	msg.SetBodyString(gomail.TypeTextPlain, p.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, html)
	if p.Picture != nil && len(p.Picture.Content) > 0 {
		if err := msg.EmbedReader(fileName(p.Picture.Name), bytes.NewReader(p.Picture.Content),
			gomail.WithFileContentID("<"+pictureID+">"), gomail.WithFileContentType("image/png")); err != nil {
			return nil, problem.Wrap(err, problem.Internal, "the picture could not be put into the mail")
		}
	}
	return msg, nil
}

const pictureID = "dashboard"

type view struct {
	Subject string
	Lines   []string // the text without its first line and the acknowledgement, which have a place of their own
	AckURL  string
	Links   []channel.Link
	Picture template.URL
	Alt     string
}

func render(p channel.Page) (string, error) {
	v := view{Subject: line(p.Subject), AckURL: p.AckURL, Links: slices.Clone(p.Links)}
	if p.Picture != nil && len(p.Picture.Content) > 0 {
		v.Picture, v.Alt = "cid:"+pictureID, line(p.Picture.Alt)
	}
	first := true
	for l := range strings.Lines(p.Text) {
		l = strings.TrimRight(l, "\r\n")
		if first {
			first = false
			if l == v.Subject {
				continue
			}
		}
		if p.AckURL != "" && (strings.Contains(l, p.AckURL) || strings.HasPrefix(l, "Acknowledge ")) {
			continue
		}
		if v.link(l) || l == "" && len(v.Lines) == 0 {
			continue
		}
		v.Lines = append(v.Lines, l)
	}
	for len(v.Lines) > 0 && v.Lines[len(v.Lines)-1] == "" {
		v.Lines = v.Lines[:len(v.Lines)-1]
	}
	var b bytes.Buffer
	if err := page.Execute(&b, v); err != nil {
		return "", err
	}
	return b.String(), nil
}

// link says whether a line only repeats one of the links, which stand in a list
// of their own; what else the line tells ("Ticket: #7") becomes the link's name.
func (v *view) link(l string) bool {
	for n, k := range v.Links {
		rest, ok := strings.CutSuffix(l, k.URL)
		if k.URL == "" || !ok {
			continue
		}
		if rest = strings.TrimRight(rest, ": "); rest != "" {
			v.Links[n].Name = rest
		}
		return true
	}
	return false
}

// line brings a text onto one line and takes out what could end a header.
func line(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	return strings.Join(strings.Fields(s), " ")
}

// atom keeps what a message id may hold; anything else becomes a hash.
func atom(s string) string {
	ok := s != "" && len(s) <= 100 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
	})
	if ok {
		return s
	}
	return "page." + digest(s)
}

func fileName(s string) string {
	if s = line(s); s == "" || strings.ContainsAny(s, `"\/;`) {
		return "dashboard.png"
	}
	return s
}
