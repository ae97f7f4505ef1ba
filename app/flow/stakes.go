package flow

import (
	"github.com/tocsin-alerting/tocsin/app/flow/whole"
)

func (s *Shared) scale() *whole.Scale {
	s.scaling.Do(func() { s.scaled.List = s.directory.List })
	return &s.scaled
}
