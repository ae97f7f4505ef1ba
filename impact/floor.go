package impact

// steps are the parts of the volume that a call needs where a policy names none, by
// how many tenants there are. A team bears a few false pages a week, and a tenant's
// rules may raise a false alert every three months: up to some forty tenants all of
// them may call. Beyond that only as many as the budget bears, which are the largest
// ones: sizes of tenants differ by factors of thousands, so that one in a hundred of
// the volume singles out the tenth that has most of it. Night is stricter.
var steps = []struct {
	upTo       int // tenants; 0: any number
	day, night float64
}{
	{10, 0, 0},
	{40, 0, 0.01},
	{150, 0.005, 0.01},
	{1000, 0.01, 0.015},
	{5000, 0.003, 0.006},
	{0, 0.001, 0.002},
}

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
			return s.day, s.night
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
