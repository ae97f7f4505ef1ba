// Package reference makes documents out of the program: JSON Schemas and the
// configuration reference from the types people write files for and their
// comments. Its test holds docs/ to them, and writes them anew when
// TOCSIN_UPDATE is set (make docs).
package reference

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/tocsin-alerting/tocsin/problem"
)

const module = "github.com/tocsin-alerting/tocsin/"

// Comments are those of types, by type, and of their fields, by type and field.
// Root is the folder of the module's go.mod.
type Comments struct {
	Root string
	read map[string]map[string]string // package to "Type" or "Type.Field" to text
}

// Of gives the comment of a type, or of one of its fields.
func (c *Comments) Of(t reflect.Type, field string) (string, error) {
	dir, ok := strings.CutPrefix(t.PkgPath(), module)
	if !ok {
		return "", nil
	}
	if c.read[dir] == nil {
		if err := c.load(dir); err != nil {
			return "", err
		}
	}
	key := t.Name()
	if field != "" {
		key += "." + field
	}
	return c.read[dir][key], nil
}

func (c *Comments) load(dir string) error {
	if c.read == nil {
		c.read = map[string]map[string]string{}
	}
	found := map[string]string{}
	c.read[dir] = found
	names, err := filepath.Glob(filepath.Join(c.Root, dir, "*.go"))
	if err != nil {
		return err
	}
	files := token.NewFileSet()
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(files, name, raw, parser.ParseComments)
		if err != nil {
			return problem.Wrap(err, problem.Internal, "%s cannot be parsed", name)
		}
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				types(g, found)
			}
		}
	}
	return nil
}

func types(g *ast.GenDecl, found map[string]string) {
	for _, s := range g.Specs {
		t, ok := s.(*ast.TypeSpec)
		if !ok {
			continue
		}
		doc := t.Doc
		if doc == nil {
			doc = g.Doc
		}
		found[t.Name.Name] = text(doc)
		body, ok := t.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range body.Fields.List {
			for _, n := range f.Names {
				found[t.Name.Name+"."+n.Name] = strings.Join(strings.Fields(text(f.Doc)+" "+text(f.Comment)), " ")
			}
		}
	}
}

func text(g *ast.CommentGroup) string {
	if g == nil {
		return ""
	}
	return strings.Join(strings.Fields(g.Text()), " ")
}
