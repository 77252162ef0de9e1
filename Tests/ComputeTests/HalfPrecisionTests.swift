import Compute
import Testing

@Suite struct HalfPrecisionTests {
  @Test func everyBrainFloatReturns() {
    for bits in UInt16.min...UInt16.max {
      let value = HalfPrecision.float(bf16: bits)
      if value.isNaN {
        // A NaN stays one, of the same sign, and quiet.
        let back = HalfPrecision.bf16(value)
        if !HalfPrecision.float(bf16: back).isNaN || back & 0x8000 != bits & 0x8000 { Issue.record("bf16 \(bits)") }
      } else if HalfPrecision.bf16(value) != bits {
        Issue.record("bf16 \(bits)")
      }
    }
  }

  @Test func everyHalfReturns() {
    for bits in UInt16.min...UInt16.max {
      let value = HalfPrecision.float(f16: bits)
      if value.isNaN {
        if !HalfPrecision.float(f16: HalfPrecision.f16(value)).isNaN { Issue.record("f16 \(bits)") }
      } else if HalfPrecision.f16(value) != bits {
        Issue.record("f16 \(bits)")
      }
    }
  }

  @Test func everyHalfHasItsValue() {
    for bits in UInt16.min...UInt16.max {
      let exponent = Int(bits >> 10 & 31)
      let fraction = Double(bits & 1023)
      let sign: Double = bits & 0x8000 == 0 ? 1 : -1
      let expected: Double =
        switch exponent {
        case 0: sign * fraction * 0x1p-24
        case 31: fraction == 0 ? sign * .infinity : .nan
        default: sign * (1 + fraction / 1024) * Double(sign: .plus, exponent: exponent - 15, significand: 1)
        }
      let value = Double(HalfPrecision.float(f16: bits))
      if !(value == expected || (value.isNaN && expected.isNaN)) { Issue.record("f16 \(bits) is \(value)") }
    }
  }

  /// Midpoints between neighbours go to the even one; anything beyond them to the nearer.
  @Test func roundsToNearestEven() {
    for bits: UInt16 in stride(from: 0, to: 0x7BFF, by: 7) {
      let (low, high) = (HalfPrecision.float(f16: bits), HalfPrecision.float(f16: bits + 1))
      let middle = (low + high) / 2
      #expect(HalfPrecision.f16(middle) == (bits % 2 == 0 ? bits : bits + 1))
      #expect(HalfPrecision.f16(middle.nextUp) == bits + 1)
      #expect(HalfPrecision.f16(middle.nextDown) == bits)
    }
    for bits: UInt16 in stride(from: 0, to: 0x7F7F, by: 13) {
      let (low, high) = (HalfPrecision.float(bf16: bits), HalfPrecision.float(bf16: bits + 1))
      let middle = low + (high - low) / 2
      #expect(HalfPrecision.bf16(middle) == (bits % 2 == 0 ? bits : bits + 1))
      #expect(HalfPrecision.bf16(middle.nextUp) == bits + 1)
    }
  }

  @Test func overflowBecomesInfinity() {
    #expect(HalfPrecision.f16(65519.996) == 0x7BFF)
    #expect(HalfPrecision.f16(65520) == 0x7C00)
    #expect(HalfPrecision.f16(-1e30) == 0xFC00)
    #expect(HalfPrecision.bf16(.greatestFiniteMagnitude) == 0x7F80)
    #expect(HalfPrecision.f16(0x1p-26) == 0)
    #expect(HalfPrecision.f16(-0.0) == 0x8000)
  }
}
