package promrules

// RingsBy is Rings in stretches of another length.
var RingsBy = (*File).rings
