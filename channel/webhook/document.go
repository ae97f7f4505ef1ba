package webhook

import (
	"encoding/json"
	"time"

	"github.com/tocsin-alerting/tocsin/channel"
	"github.com/tocsin-alerting/tocsin/problem"
)

// Version of the document. Within it keys are added, never changed or removed.
const Version = 1

// Document is the body of a request: one call for one person. Every attempt of
// the same call has the same Key; its texts say what is known when it is made.
type Document struct {
	_ struct{} `json:"-" additionalProperties:"true"` // keys may be added

	Version        int        `json:"version" doc:"1"`
	Kind           string     `json:"kind" enum:"page,drill" doc:"drill: a test, nothing is broken"`
	ID             string     `json:"id" doc:"of the page; the same when it is tried at another address"`
	Key            string     `json:"key" doc:"of the call, also in the header Idempotency-Key: the same with every attempt"`
	RequestedAt    time.Time  `json:"requested_at" doc:"when the call was decided"`
	Environment    string     `json:"environment"`
	Team           string     `json:"team" doc:"id in the catalog"`
	Person         Person     `json:"person"`
	Incident       *Incident  `json:"incident,omitempty" doc:"absent: a drill"`
	Escalation     Escalation `json:"escalation"`
	Subject        string     `json:"subject" doc:"first line: what is broken for whom"`
	Text           string     `json:"text" doc:"the whole page as plain text, links included"`
	AcknowledgeURL string     `json:"acknowledge_url" doc:"opens a view with a button; opening it changes nothing. Whoever has it can acknowledge"`
	Links          []Link     `json:"links" nullable:"false"`
	Picture        *Picture   `json:"picture,omitempty" doc:"absent: there is none, or the channel does not send pictures"`
}

// Person is who is called.
type Person struct {
	_ struct{} `json:"-" additionalProperties:"true"` // keys may be added

	ID   string `json:"id" doc:"id in the catalog"`
	Name string `json:"name"`
	To   string `json:"to" doc:"the contact's to, as the catalog has it; may be empty"`
}

// Incident is what the call is about.
type Incident struct {
	_ struct{} `json:"-" additionalProperties:"true"` // keys may be added

	ID       string `json:"id" doc:"the same for every call of the incident"`
	Number   int    `json:"number" doc:"what people say"`
	Severity string `json:"severity" enum:"critical,warning,info"`
}

// Escalation is where the call stands.
type Escalation struct {
	_ struct{} `json:"-" additionalProperties:"true"` // keys may be added

	Step       int  `json:"step" doc:"from 1, the person on call; 0: in no escalation"`
	Steps      int  `json:"steps"`
	Round      int  `json:"round"`
	LastResort bool `json:"last_resort"`
}

// Link is a named address.
type Link struct {
	_ struct{} `json:"-" additionalProperties:"true"` // keys may be added

	Name string `json:"name"`
	URL  string `json:"url"`
}

// Picture is a PNG.
type Picture struct {
	_ struct{} `json:"-" additionalProperties:"true"` // keys may be added

	Name        string `json:"name"`
	ContentType string `json:"content_type" enum:"image/png"`
	Alt         string `json:"alt"`
	Content     []byte `json:"content" doc:"base64" contentEncoding:"base64"`
}

func body(p channel.Page, pictures bool) ([]byte, error) {
	a := p.About
	d := Document{Version: Version, Kind: "page", ID: p.ID, Key: p.Key, RequestedAt: a.RequestedAt.UTC(), Environment: a.Environment, Team: a.Team,
		Person: Person{ID: a.Person, Name: p.Name, To: p.To}, Escalation: Escalation{Step: a.Step, Steps: a.Steps, Round: a.Round, LastResort: a.LastResort},
		Subject: p.Subject, Text: p.Text, AcknowledgeURL: p.AckURL, Links: []Link{}}
	if a.Drill {
		d.Kind = "drill"
	}
	if a.Incident != "" {
		d.Incident = &Incident{ID: a.Incident, Number: a.Number, Severity: a.Severity}
	}
	for _, l := range p.Links {
		d.Links = append(d.Links, Link{Name: l.Name, URL: l.URL})
	}
	if p.Picture != nil && pictures {
		d.Picture = &Picture{Name: p.Picture.Name, ContentType: "image/png", Alt: p.Picture.Alt, Content: p.Picture.Content}
	}
	raw, err := json.Marshal(d)
	if err != nil {
		return nil, problem.Wrap(err, problem.Internal, "a page cannot be encoded")
	}
	return raw, nil
}
