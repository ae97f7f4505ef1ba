// Package fuzz holds the fuzz targets of parsers whose own packages' tests import
// the TSDB or PromQL: instrumented, those take minutes to build.
package fuzz
