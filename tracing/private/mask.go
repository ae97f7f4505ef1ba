// Package private keeps what must not be stored out of what is: it masks what looks
// like a card number, an IBAN or a mail address, and replaces customers' ids by
// names that hold for a day.
//
// It knows texts and a key's file, and nothing of spans.
package private

import (
	"regexp"
	"strings"
)

// What stands in the place of what must not be stored.
const (
	maskedCard = "[card]"
	maskedIBAN = "[iban]"
	maskedMail = "[mail]"
)

var (
	mailPattern = regexp.MustCompile(`[A-Za-z0-9._%+\-]+(?:@|%40)[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)+`)
	// Between digits of a card, and between groups of an IBAN, one space or dash.
	cardPattern = regexp.MustCompile(`\d(?:[ \-]?\d){12,18}`)
	ibanPattern = regexp.MustCompile(`(?i)[a-z]{2}\d{2}(?:[ \-]?[a-z0-9]){11,30}`)
)

// Mask replaces what looks like a card number (13 to 19 digits that pass the Luhn
// check), an IBAN (that passes its check) or a mail address. It looks at the form
// only: a number that passes by chance is masked too.
func Mask(s string) string {
	if strings.Contains(s, "@") || strings.Contains(s, "%40") {
		s = mailPattern.ReplaceAllString(s, maskedMail)
	}
	digits := 0
	for i := range len(s) {
		if isDigit(s[i]) {
			digits++
		}
	}
	if digits < 8 {
		return s
	}
	s = replaceWhole(s, ibanPattern, maskedIBAN, validIBAN)
	return replaceWhole(s, cardPattern, maskedCard, validCard)
}

// replaceWhole replaces the matches that stand by themselves and pass. Where a
// whole match does not pass, its shorter beginnings are tried: what follows a
// number may look like more of it.
func replaceWhole(s string, p *regexp.Regexp, by string, pass func(string) bool) string {
	var out strings.Builder
	for from := 0; ; {
		at := p.FindStringIndex(s[from:])
		if at == nil {
			out.WriteString(s[from:])
			return out.String()
		}
		begin, end := from+at[0], from+at[1]
		stop := 0
		if begin == 0 || !isWord(s[begin-1]) || p == cardPattern && !isDigit(s[begin-1]) && !isLetter(s[begin-1]) {
			for e := end; e > begin+12; e-- {
				if (e == len(s) || !isWord(s[e])) && isWord(s[e-1]) && pass(compact(s[begin:e])) {
					stop = e
					break
				}
			}
		}
		if stop == 0 { // go on behind the first character: another number may begin inside
			out.WriteString(s[from : begin+1])
			from = begin + 1
			continue
		}
		out.WriteString(s[from:begin])
		out.WriteString(by)
		from = stop
	}
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isWord(c byte) bool   { return isDigit(c) || isLetter(c) }

func compact(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return -1
		}
		return r
	}, s)
}

// validCard is the Luhn check.
func validCard(digits string) bool {
	if len(digits) < 13 || len(digits) > 19 || strings.Trim(digits, "0") == "" {
		return false
	}
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// validIBAN is the check of ISO 13616: the rest of the number modulo 97 is 1.
func validIBAN(s string) bool {
	if len(s) < 15 || len(s) > 34 {
		return false
	}
	s = strings.ToUpper(s)
	rest := 0
	for _, c := range []byte(s[4:] + s[:4]) {
		if isDigit(c) {
			rest = (rest*10 + int(c-'0')) % 97
		} else {
			rest = (rest*100 + int(c-'A') + 10) % 97
		}
	}
	return rest == 1
}
