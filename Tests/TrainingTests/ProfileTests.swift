import Compute
import Foundation
import PromptTuning
import TestSupport
import Testing

@testable import Training

/// Runs that are measured, or keep less, and compute the same.
@Suite struct ProfileTests {
  private static func train(
    _ backend: any ComputeBackend, profile: Profile? = nil, recomputes: Bool = false,
    onEvent: @escaping (TrainingEvent) -> Void = { _ in }
  ) throws -> [Float] {
    let setup = try Setup(backend)
    var options = TrainingOptions()
    options.batchSize = 4
    options.length = .steps(3)
    options.learningRate = 0.05
    options.recomputesLayers = recomputes
    let trainer = try Trainer(setup.prompted, data: setup.data, validation: setup.data, options: options)
    trainer.profile = profile
    trainer.onEvent = onEvent
    let folder = try TemporaryFolder()
    _ = try trainer.run(
      in: RunFolder(path: folder.path("run"), resumes: false), files: setup.files, configuration: "")
    return try setup.promptValues
  }

  @Test(arguments: Backends.available) func `a profile changes nothing and names what ran`(_ device: TestBackend) throws
  {
    let expected = try Self.train(device.make())
    let profile = Profile()
    let backend = try ProfiledBackend(device.make(), profile: profile)
    #expect(try Self.train(backend, profile: profile) == expected)
    try backend.finishProfile()
    let known = Set(Kernel.allCases.map(\.rawValue) + ["read", "write"])
    #expect(Set(profile.totals.keys).isSubset(of: known), "\(profile.totals.keys.sorted())")
    #expect(profile.totals["adamW"]?.calls == 3)
    for operation in ["matmul", "attention", "attentionBackward", "layerNorm", "layerNormBackward", "crossEntropy"] {
      #expect((profile.totals[operation]?.nanoseconds ?? 0) > 0, "\(operation)")
    }
    #expect(profile.leftOut == 0)
    #expect(profile.commands.count == profile.totals.values.reduce(0) { $0 + $1.commands })
    let names = Dictionary(grouping: profile.phases, by: \.name)
    for step in 1...3 { #expect(names["step \(step)"]?.count == 1) }
    for part in ["batch", "forward", "backward", "loss", "norm", "optimizer"] {
      #expect(names[part]?.count == 3, "\(part)")
    }
    #expect(names["validation"]?.count == 2 && names["save"]?.count == 1)
    // Parts lie inside their steps.
    for phase in names["backward"] ?? [] {
      let steps = (1...3).compactMap { names["step \($0)"]?.first }
      #expect(steps.contains { $0.start <= phase.start && phase.end <= $0.end })
    }
  }

  @Test(arguments: Backends.available) func `recomputation changes nothing`(_ device: TestBackend) throws {
    #expect(try Self.train(device.make(), recomputes: true) == Self.train(device.make()))
  }

  @Test(arguments: Backends.available) func `recomputation begins where memory is short`(_ device: TestBackend) throws {
    func run(_ limit: Int, recomputes: Bool) throws -> (prompt: [Float], peak: Int, events: [Int]) {
      let backend = NarrowBackend(try device.make(), limit: limit)
      var events: [Int] = []
      let prompt = try Self.train(backend, recomputes: recomputes) {
        if case .recomputing(let step, let reason) = $0, reason.contains("cannot allocate") { events.append(step) }
      }
      return (prompt, backend.memory.peak, events)
    }
    let (all, least) = (try run(.max, recomputes: false), try run(.max, recomputes: true))
    #expect(least.peak < all.peak && all.events.isEmpty && least.events.isEmpty)
    let short = try run((least.peak + all.peak) / 2, recomputes: false)
    #expect(short.prompt == all.prompt && short.events == [1])
    // With even less there is nothing left to do.
    #expect(throws: ComputeError.self) { _ = try run(least.peak / 2, recomputes: false) }
  }
}

/// A backend that has less memory than its device.
private final class NarrowBackend: ForwardingBackend {
  private let limit: Int

  init(_ base: any ComputeBackend, limit: Int) {
    self.limit = limit
    super.init(base)
  }

  override func allocate(_ shape: Shape, _ dtype: DType) throws -> Tensor {
    let byteCount = shape.count * dtype.byteCount
    guard byteCount <= limit - memory.current else {
      throw ComputeError.outOfMemory(device: device.id, requested: byteCount, detail: "\(limit) bytes are allowed")
    }
    return try super.allocate(shape, dtype)
  }
}
