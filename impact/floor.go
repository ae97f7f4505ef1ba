package impact

// steps are the least parts of the volume that a call needs where a policy names none,
// by how many tenants there are. A team bears a few false pages a week, and a tenant's
// rules may raise a false alert every three months: up to some forty tenants all of
// them may call. Beyond that only as many as the budget bears, which are the largest
// ones: sizes of tenants differ by factors of thousands, and those that have most of
// the volume lose most in faults and hardly ever ring for one customer. Night is
// stricter.
var steps = []struct {
	upTo       int // tenants; 0: any number
	day, night float64
}{
	{10, 0, 0},
	{40, 0, 0.01},
	{150, 0.005, 0.01},
	{1000, 0.0025, 0.00375},
	{5000, 0.0015, 0.003},
	{0, 0.001, 0.002},
}

// From equalFrom tenants on a call needs somewhat more than an equal part, at night a
// half more than that: where all are of one size none calls by itself.
const (
	equalFrom = 150
	equalPart = 1.2
	nightPart = 1.5
)

const (
	dayTenants   = 3 // have nothing in common by chance within a quarter of an hour
	nightTenants = 5
)

// Day is what a call needs by day where a policy does not say it.
func Day(tenants int) Floor {
	day, _ := shares(tenants)
	return Floor{Share: day, Tenants: dayTenants}
}

// AtNight is Day for the night.
func AtNight(tenants int) Floor {
	_, night := shares(tenants)
	return Floor{Share: night, Tenants: nightTenants}
}

func shares(tenants int) (day, night float64) {
	for _, s := range steps {
		if tenants <= s.upTo || s.upTo == 0 {
			day, night = s.day, s.night
			if equal := equalPart / float64(tenants); tenants > equalFrom {
				day, night = max(day, equal), max(night, nightPart*equal)
			}
			return day, night
		}
	}
	return 0, 0
}

// Or fills what is left out of f from another.
func (f Floor) Or(other Floor) Floor {
	if f.Share == 0 {
		f.Share = other.Share
	}
	if f.LossPerMinute == 0 {
		f.LossPerMinute = other.LossPerMinute
	}
	if f.Tenants == 0 {
		f.Tenants = other.Tenants
	}
	return f
}
