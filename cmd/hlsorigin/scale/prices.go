package scale

// PricesSeen is when the price list and the quotas were looked up, and Sources where.
const (
	PricesSeen = "November 2026"
	Sources    = "aws.amazon.com/s3/pricing and /cloudfront/pricing (US East, N. Virginia; United States and Europe), the developer guides' quotas"
)

// Tier is a price that holds up to an amount in a month.
type Tier struct {
	UpTo  float64 `json:"up_to_tb"` // TB; 0: no end
	Price float64 `json:"price"`    // dollars for a GB
}

// Prices are in dollars. A GB is 10⁹ bytes here; bills count 2³⁰, and so come out 7 % lower.
type Prices struct {
	Put     float64 `json:"put"`     // 1,000 PUT of S3, conditional or not
	Get     float64 `json:"get"`     // 1,000 GET or HEAD
	Storage []Tier  `json:"storage"` // a month of S3 Standard
	Egress  []Tier  `json:"egress"`  // from CloudFront to viewers
	Request float64 `json:"request"` // 10,000 requests of viewers by HTTPS
	Shield  float64 `json:"shield"`  // 10,000 requests to Origin Shield
}

// ListPrices is the price list.
func ListPrices() Prices {
	return Prices{
		Put: 0.005, Get: 0.0004, Request: 0.01, Shield: 0.0075,
		Storage: []Tier{{50, 0.023}, {500, 0.022}, {0, 0.021}},
		Egress:  []Tier{{10, 0.085}, {50, 0.080}, {150, 0.060}, {500, 0.040}, {1024, 0.030}, {5120, 0.025}, {0, 0.020}},
	}
}

// Flat is one price for everything.
func Flat(price float64) []Tier { return []Tier{{0, price}} }

// cost is what an amount costs, GB.
func cost(tiers []Tier, gb float64) (dollars float64) {
	below := 0.0
	for _, t := range tiers {
		upTo := t.UpTo * 1000
		if t.UpTo == 0 || gb <= upTo {
			return dollars + (gb-below)*t.Price
		}
		dollars += (upTo - below) * t.Price
		below = upTo
	}
	return dollars
}

// Quotas are what AWS lets one have without asking for more.
type Quotas struct {
	Egress   float64 `json:"egress_gbps"` // of a CloudFront distribution
	Requests float64 `json:"requests"`    // a second, of a CloudFront distribution
	Put      float64 `json:"put"`         // a second, of a prefix in S3
	Get      float64 `json:"get"`         // a second, of a prefix in S3
}

// DefaultQuotas are the quotas of a new account.
func DefaultQuotas() Quotas { return Quotas{Egress: 150, Requests: 250_000, Put: 3500, Get: 5500} }
