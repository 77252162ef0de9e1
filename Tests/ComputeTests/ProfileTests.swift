import Compute
import Foundation
import TestSupport
import Testing

/// What a profile keeps, adds up and writes.
@Suite struct ProfileTests {
  private struct Trace: Decodable {
    struct Event: Decodable {
      struct Arguments: Decodable {
        var name: String?
        var operation: String?
      }

      var ph: String
      var pid: Int
      var tid: Int
      var name: String
      var ts: Double?
      var dur: Double?
      var args: Arguments?
    }

    struct Totals: Decodable {
      var calls: Int
      var commands: Int
      var nanoseconds: Int
      var flops: Double
      var bytes: Double
    }

    struct Other: Decodable {
      var spansLeftOut: Int
      var operations: [String: Totals]
    }

    var displayTimeUnit: String
    var traceEvents: [Event]
    var otherData: Other

    init(_ profile: Profile, device: String = "device") throws {
      var text = ""
      profile.writeTrace(device: device) { text += $0 }
      self = try JSONDecoder().decode(Trace.self, from: Data(text.utf8))
    }

    var commands: [Event] { traceEvents.filter { $0.ph == "X" && $0.pid == 2 } }
    var phases: [Event] { traceEvents.filter { $0.ph == "X" && $0.pid == 1 } }
  }

  @Test func traceHoldsEverySpan() throws {
    let profile = Profile()
    for index in 0..<9000 {
      let start = Profile.Time(index) * 1001
      profile.add(.init(name: "k\(index % 3)", operation: "o\(index % 2)", start: start, end: start + 999))
    }
    profile.phase("outer") { profile.phase("a \"quoted\" \\ name\n") {} }
    let trace = try Trace(profile, device: "a \"device\"")
    #expect(trace.commands.count == 9000 && trace.phases.map(\.name) == ["a \"quoted\" \\ name ", "outer"])
    for (index, event) in trace.commands.enumerated() {
      let (start, duration) = (try #require(event.ts), try #require(event.dur))
      guard abs(start - Double(index) * 1.001) <= 1e-6, abs(duration - 0.999) <= 1e-9 else {
        Issue.record("span \(index) from \(start) for \(duration) microseconds")
        return
      }
    }
    #expect(trace.traceEvents.contains { $0.ph == "M" && $0.args?.name == "a \"device\"" })
    #expect(trace.otherData.operations.values.reduce(0) { $0 + $1.nanoseconds } == 9000 * 999)
    let (inner, outer) = (trace.phases[0], trace.phases[1])
    let starts = (outer: try #require(outer.ts), inner: try #require(inner.ts))
    let ends = (outer: starts.outer + (try #require(outer.dur)), inner: starts.inner + (try #require(inner.dur)))
    #expect(starts.outer <= starts.inner)
    #expect(ends.inner <= ends.outer + 1e-6)
  }

  @Test func whatIsBeyondTheLimitCounts() throws {
    let profile = Profile(limit: 10)
    for index in 0..<25 { profile.add(.init(name: "k", operation: "o", start: Int64(index), end: Int64(index) + 1)) }
    let trace = try Trace(profile)
    #expect(trace.commands.count == 10 && trace.otherData.spansLeftOut == 15)
    #expect(trace.otherData.operations["o"]?.nanoseconds == 25)
  }

  /// Spans of the device follow one another, come to the totals and lie inside the phase that waited for them.
  @Test(arguments: Backends.available) func operationsOfADevice(_ device: TestBackend) throws {
    let profile = Profile()
    let backend = try ProfiledBackend(device.make(), profile: profile)
    let plain = try device.make()
    func compute(_ backend: any ComputeBackend) throws -> ([Float], Double) {
      let a = try backend.tensor(normals(96 * 64, seed: 1), [96, 64])
      let b = try backend.tensor(normals(64 * 32, seed: 2), [64, 32])
      var product = try backend.matmul(a, b, MatmulOptions())
      for _ in 0..<100 { product = try backend.add(product, product) }
      let softmax = try backend.softmax(try backend.scale(product, by: 0x1p-100))
      return (try backend.values(softmax), try backend.sum(softmax))
    }
    let (values, sum) = try profile.phase("all") { try compute(backend) }
    #expect(try compute(plain) == (values, sum))
    try backend.finishProfile()
    #expect(profile.totals["matmul"]?.calls == 1 && profile.totals["add"]?.calls == 100)
    #expect(profile.totals["matmul"]?.work == Work(flops: 2 * 96 * 64 * 32, bytes: 4 * (96 * 64 + 64 * 32 + 96 * 32)))
    #expect(profile.totals["add"]?.work.bytes == Double(100 * 3 * 4 * 96 * 32))
    #expect(Set(profile.totals.keys) == ["matmul", "add", "scale", "softmax", "sum", "write", "read"])
    let trace = try Trace(profile)
    // Every write, kernel and read is there.
    #expect(trace.commands.count >= 100 + 6)
    var (time, sums) = (-Double.infinity, [String: Double]())
    for event in trace.commands {
      let (start, duration) = (try #require(event.ts), try #require(event.dur))
      // Drivers convert their clocks' ticks: llvmpipe's spans overlap by a nanosecond at times.
      guard start >= time - 0.01, duration >= 0 else {
        Issue.record("\(event.name) starts at \(start), before the end of the span in front of it, \(time)")
        return
      }
      time = start + duration
      sums[try #require(event.args?.operation), default: 0] += duration
    }
    for (name, total) in trace.otherData.operations {
      let error = abs((sums[name] ?? 0) - 1e-3 * Double(total.nanoseconds))
      guard error <= 1e-3 else {
        Issue.record("\(name): spans come to \(sums[name] ?? 0) microseconds, the total is \(total.nanoseconds) ns")
        return
      }
    }
  }

  @Test func aProfileThatIsOffNotesNothing() throws {
    let profile = Profile()
    profile.isOn = false
    let backend = try ProfiledBackend(Backends.cpu.make(), profile: profile)
    let a = try backend.tensor([1, 2], [2])
    _ = try backend.values(try backend.add(a, a))
    #expect(profile.totals.isEmpty && profile.commands.isEmpty)
    profile.isOn = true
    _ = try backend.values(try backend.add(a, a))
    #expect(profile.totals["add"]?.calls == 1 && profile.commands.map(\.operation) == ["add", "read"])
  }

  /// Against a count of every pair by the definition.
  @Test func visiblePairs() throws {
    for window in [nil, 1, 3, 100] {
      for causal in [false, true] {
        for (queries, own) in [(4, 4), (2, 6), (6, 3)] {
          let segments = [
            AttentionSegment(queries: 0..<queries, shared: [0..<2, 3..<4], own: 5..<5 + own, causal: causal),
            AttentionSegment(queries: queries..<queries + 1, own: 0..<1, causal: causal),
          ]
          let layout = try AttentionLayout(segments: segments, queryCount: queries + 1, keyCount: 20)
          var expected = 0
          for segment in segments {
            for query in 0..<segment.queries.count {
              let position = segment.sharedCount + segment.own.count - segment.queries.count + query
              for key in 0..<segment.sharedCount + segment.own.count {
                let isShown = !causal || key < segment.sharedCount || key <= position
                let isNear = window.map { key > position - $0 } ?? true
                if isShown, isNear { expected += 1 }
              }
            }
          }
          #expect(layout.visiblePairs(window: window) == expected, "\(causal) \(String(describing: window)) \(own)")
        }
      }
    }
  }

  @Test(arguments: Backends.available) func multiplyAddsTakeTimeInProportion(_ device: TestBackend) throws {
    let backend = try device.make()
    let flops = try #require(try backend.multiplyAdds(.f32, rounds: 64))
    #expect(try backend.multiplyAdds(.f32, rounds: 128) == 2 * flops)
    // 12 sums of at least one float on one core at least.
    #expect(flops >= 2 * 12 * 64)
    if let rounded = try backend.multiplyAdds(.bf16, rounds: 64) { #expect(rounded == 2 * flops) }
    try backend.synchronize()
  }
}
