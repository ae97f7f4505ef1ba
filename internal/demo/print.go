package demo

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// printer writes the story as it happens. It is used by one goroutine.
type printer struct {
	out   io.Writer
	color bool
	from  time.Time
	last  Step
}

const (
	bold  = "\x1b[1m"
	faint = "\x1b[2m"
	plain = "\x1b[0m"
)

func (p *printer) style(code, text string) string {
	if !p.color {
		return text
	}
	return code + text + plain
}

func (p *printer) line(format string, args ...any) {
	fmt.Fprintf(p.out, format+"\n", args...) // the story goes on when nobody listens
}

func (p *printer) title(w world) {
	acquirers := map[string]bool{}
	for _, t := range w.tenants {
		for _, a := range t.Acquirers {
			acquirers[a.Name] = true
		}
	}
	p.line("")
	p.line("%s  %d tenants of a payments gateway, %d acquirers, one of them about to fail", p.style(bold, "tocsin demo"), len(w.tenants), len(acquirers))
	p.line("")
}

// step prints what happened, with the seconds since the start; the step's name
// stands on its first line only.
func (p *printer) step(name Step, format string, args ...any) {
	label := fmt.Sprintf("%-12s", name)
	if name == p.last {
		label = strings.Repeat(" ", len(label))
	}
	p.last = name
	elapsed := fmt.Sprintf("%6.1fs", time.Since(p.from).Seconds())
	p.line("%s  %s %s", p.style(faint, elapsed), p.style(bold, label), fmt.Sprintf(format, args...))
}

// more prints a detail under the step; an empty one is left out.
func (p *printer) more(name, text string) {
	if text == "" {
		return
	}
	p.line("%22s%s %s", "", p.style(faint, name+":"), text)
}

func (p *printer) done(took time.Duration) {
	p.line("")
	p.line("%s in %.0f s", p.style(bold, "The whole story"), took.Seconds())
	p.line("")
}

func (p *printer) kept(o Options, incident string) {
	p.line("Left up until Ctrl-C, with traffic going on:")
	p.line("  the view    %s/", o.Server)
	p.line("  incident    %s/incidents/%s", o.Server, incident)
	p.line("  metrics     %s/metrics", o.Server)
	if o.TokenFile != "" {
		p.line("  sign in with the token in %s", o.TokenFile)
	}
	p.line("")
}
