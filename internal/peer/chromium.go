package peer

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Chromium finds the browser.
func Chromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing(t, "apt-get install --no-install-recommends chromium fonts-dejavu-core")
	return ""
}

// ChromiumContext is a chromedp context over a browser with a new profile that
// talks to nobody of its own accord. It ends with the test, at the latest after
// two minutes.
func ChromiumContext(t testing.TB) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(Chromium(t)), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.Headless,
		chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.WindowSize(1280, 900), chromedp.WSURLReadTimeout(startTimeout))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	browser, quit := chromedp.NewContext(allocator)
	ctx, cancel := context.WithTimeout(browser, 2*time.Minute)
	t.Cleanup(func() {
		cancel()
		_ = chromedp.Cancel(browser) // waits until the browser has ended
		quit()
		stop()
	})
	return ctx
}
