package app

import (
	"context"
	"slices"
	"time"

	"github.com/tocsin-alerting/tocsin/app/access"
	"github.com/tocsin-alerting/tocsin/app/signin"
	"github.com/tocsin-alerting/tocsin/catalog"
	"github.com/tocsin-alerting/tocsin/channel"
	"github.com/tocsin-alerting/tocsin/config"
)

// endGone ends the sessions of people whom a reload or a restart took out of the
// catalog. They are good for nothing already; what fails is tried again.
func (a *App) endGone(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := a.access.EndGone(ctx, a.shared.Owner(access.Subject)); err != nil {
		a.log.Warn("sessions of people who left the catalog cannot be ended in the store; it is tried again", "error", err)
	}
}

// buildSignIn lets people sign in by a link sent through a mail channel of the
// configuration in force.
func (a *App) buildSignIn() {
	isMail := func(c config.Channel) bool { return c.Kind == "smtp" }
	a.entry.Mails = func() bool { return slices.ContainsFunc(a.config().Channels, isMail) }
	a.entry.SignIn = signin.New(signin.Options{
		Catalog: func() *catalog.Catalog { return a.shared.Rules().Catalog },
		Mail: func(name string) channel.Channel {
			if !slices.ContainsFunc(a.config().Channels, func(c config.Channel) bool { return c.Name == name && isMail(c) }) {
				return nil
			}
			return a.sender.Channel(name)
		},
		Base: a.base, Signer: a.server.Signer, Now: a.o.Now, Logger: a.log,
	})
	a.undo.push("sign-in links", a.entry.SignIn.Stop)
}
