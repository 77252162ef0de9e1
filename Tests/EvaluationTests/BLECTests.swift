import Testing

@testable import Evaluation

@Suite struct BLECTests {
  private static func missing(_ prediction: String, _ logic: String, _ reference: String = "") -> [String] {
    BLEC.missing(in: prediction, logic: logic, reference: reference)
  }

  @Test func numbers() {
    let logic = "eq { count { filter_eq { all_rows ; city ; rome } } ; 3 }"
    #expect(Self.missing("there are 3 of them", logic, "3") == [])
    #expect(Self.missing("there are three of them", logic, "3") == [])
    #expect(Self.missing("it came third", logic, "3") == [])
    #expect(Self.missing("there are some of them", logic, "three") == ["3"])
    // What the person left out as well is forgiven.
    #expect(Self.missing("there are some of them", logic, "a few") == [])
    // 1 always passes.
    #expect(Self.missing("there are some", "eq { count { all_rows } ; 1 }", "exactly 1") == [])
    // Digits may be part of a longer number.
    #expect(Self.missing("in 2013", logic, "3") == [])
    #expect(Self.missing("it is 12,345 high", "eq { hop { all_rows ; height } ; 12345 }", "12345") == [])
    #expect(Self.missing("it is 12.345 high", "eq { hop { all_rows ; height } ; 12345 }", "12345") == ["12345"])
    // Above ten words do not count; neither do numbers that are not whole.
    #expect(Self.missing("eleven", "eq { count { all_rows } ; 11 }", "11") == ["11"])
    #expect(Self.missing("some", "eq { avg { all_rows ; x } ; 2.5 }", "2.5") == ["avg"])
    #expect(Self.missing("seven", "eq { count { all_rows } ; 007 }", "007") == [])
  }

  @Test func theTableHasNineForEight() {
    let logic = "eq { count { all_rows } ; 8 }"
    #expect(Self.missing("there are nine", logic, "8") == [])
    #expect(Self.missing("there are 8", logic, "8") == [])
    #expect(Self.missing("the eighth", logic, "8") == [])
    // "eight" alone is not in the table, neither for the prediction nor for the reference.
    #expect(Self.missing("there are eight", logic, "8") == ["8"])
    #expect(Self.missing("there are eight", logic, "eight") == [])
  }

  @Test func operatorsNeedTheirWords() {
    let logic = "eq { hop { argmax { all_rows ; points } ; team } ; rome }"
    #expect(Self.missing("rome has points", logic) == ["argmax"])
    #expect(Self.missing("rome has the most points", logic) == [])
    #expect(Self.missing("rome is at the top", logic) == [])
    #expect(Self.missing("rome has fewer points", "less { a ; b }") == [])
    #expect(Self.missing("rome has points", "most_greater_eq { all_rows ; points ; x }") == ["most_greater_eq"])
    // Words count inside others: "also" holds no "sum", "assumed" does.
    #expect(Self.missing("it is assumed", "eq { sum { all_rows ; x } ; y }") == [])
    // A piece that is missing twice is told twice.
    #expect(Self.missing("rome", "avg { x } | avg { y }") == ["avg", "avg"])
  }

  @Test func negation() {
    #expect(Self.missing("it is not rome", "eq { a ; b }") == ["not"])
    #expect(Self.missing("a notable case", "eq { a ; b }") == ["not"])
    #expect(Self.missing("it is not rome", "not { eq { a ; b } }") == [])
    #expect(Self.missing("it is not rome", "not_eq { a ; b }") == ["not"])
  }

  @Test func shareOfExamples() throws {
    let logic = ["eq { a ; 2 }", "eq { a ; 2 }", "max { a ; b }"]
    let share = BLEC.corpus(
      predictions: ["two", "no", "the largest"], logic: logic, references: ["2", "2", "largest"])
    #expect(try #require(share) == 2.0 / 3)
    #expect(BLEC.corpus(predictions: [], logic: [], references: []) == nil)
  }
}
