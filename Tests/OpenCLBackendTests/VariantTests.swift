import Compute
import Foundation
import Kernels
import Testing

@testable import OpenCLBackend

@Suite struct VariantChoice {
  /// A device of these properties.
  private func device(
    _ kind: OpenCLDevice.Kind, vector: Int, dedicated: Bool = true, group: Int = 1024, local: Int = 32 << 10
  ) -> OpenCLDevice {
    OpenCLDevice(
      id: "opencl:9.9", name: "made up", kind: kind, vendor: "", platformName: "", platformVersion: "",
      driverVersion: "", deviceVersion: "OpenCL 1.2", languageVersion: "OpenCL C 1.2", memoryBytes: 1 << 30,
      maximumAllocation: 1 << 30, computeUnits: 4, localMemoryBytes: local, hasDedicatedLocalMemory: dedicated,
      nativeFloatVector: vector, maximumWorkGroup: group, hasHalf: false, hasDouble: false, hasDenormals: true,
      unusableReason: nil, platformIndex: 9, deviceIndex: 9)
  }

  @Test func followsWhatTheDeviceCanDo() {
    #expect(KernelVariant.suited(to: device(.cpu, vector: 16, dedicated: false)) == .cpu)
    #expect(KernelVariant.suited(to: device(.cpu, vector: 4, dedicated: false)) == .cpu)
    #expect(KernelVariant.suited(to: device(.cpu, vector: 1, dedicated: false)) == .plain)
    #expect(KernelVariant.suited(to: device(.cpu, vector: 1)) == .gpu)
    #expect(KernelVariant.suited(to: device(.gpu, vector: 1)) == .gpu)
    #expect(KernelVariant.suited(to: device(.gpu, vector: 4, dedicated: false)) == .gpu)
    #expect(KernelVariant.suited(to: device(.gpu, vector: 1, group: 128)) == .plain)
    #expect(KernelVariant.suited(to: device(.accelerator, vector: 1, local: 16 << 10)) == .plain)
  }

  @Test func reasonsNameTheLimit() {
    #expect(KernelVariant.gpu.obstacle(on: device(.gpu, vector: 1, group: 128))?.contains("128") == true)
    #expect(KernelVariant.gpu.obstacle(on: device(.gpu, vector: 1, local: 4096))?.contains("4096") == true)
    #expect(KernelVariant.cpu.obstacle(on: device(.cpu, vector: 1)) == nil)
    #expect(KernelVariant.cpu.reasonToSkip(on: device(.cpu, vector: 1)) != nil)
    #expect(KernelVariant.cpu.reasonToSkip(on: device(.cpu, vector: 8)) == nil)
    #expect(KernelVariant.plain.reasonToSkip(on: device(.cpu, vector: 1, group: 1, local: 0)) == nil)
  }

  @Test func tensorCoresFollowTheComputeCapability() {
    func has(_ kind: OpenCLDevice.Kind, _ capability: Int?) -> Bool {
      var device = device(kind, vector: 1)
      device.computeCapability = capability
      return device.hasTensorCores
    }
    #expect(has(.gpu, 8) && has(.gpu, 9) && has(.gpu, 12))
    #expect(!has(.gpu, 7) && !has(.gpu, nil) && !has(.cpu, 8))
    #expect(TensorForm.obstacle(on: device(.gpu, vector: 1), largeTiles: false) == nil)
    #expect(TensorForm.obstacle(on: device(.gpu, vector: 1), largeTiles: true)?.contains("47104") == true)
  }

  @Test func namesAreChecked() throws {
    #expect(try KernelVariant(named: "gpu") == .gpu)
    #expect(throws: ComputeError.self) { try KernelVariant(named: "GPU") }
  }

  @Test func versionsAreCompared() {
    for text in ["OpenCL 1.2 Mesa", "OpenCL C 1.2 ", "OpenCL 3.0", "OpenCL 10.0"] {
      #expect(OpenCLDevices.reaches12(text), "\(text)")
    }
    for text in ["OpenCL 1.1 Mesa 22.3.6", "OpenCL C 1.0", "OpenCL", ""] {
      #expect(!OpenCLDevices.reaches12(text), "\(text)")
    }
  }

  @Test func setsHaveNamesOfTheirOwn() {
    let names = ParameterSet.all.map(\.name)
    #expect(Set(names).count == names.count)
    let included = [
      "attention_pair_tiles.cl", "attention_rows.cl", "attention_tiles.cl", "fragments.cl", "functions.cl", "lanes.cl",
      "matmul_panel.cl", "matmul_tile.cl", "operands.cl", "pairs.cl", "strided.cl", "visibility.cl",
    ]
    for file in KernelLibrary.names where !included.contains(file) {
      #expect(ParameterSet.all.contains { $0.file == file }, "\(file) is built by no parameter set")
    }
  }
}

extension OnDevice {
  @Suite struct Programs {
    /// Products of every form: few and many rows, every type of B, rounded or not, packed both ways.
    private func multiply(_ backend: OpenCLBackend) throws {
      for (m, n, k) in [(1, 16, 4), (2, 40, 3), (5, 7, 9), (7, 20, 5), (13, 33, 6), (70, 48, 2), (3, 3, 0)] {
        for dtype in [DType.f32, .bf16, .f16] {
          for (transposed, rounds) in [(false, false), (true, true), (true, false)] {
            let b = try backend.allocate(transposed ? [n, k] : [k, n], dtype)
            try [UInt8](repeating: 0, count: b.byteCount).withUnsafeBytes { try backend.write($0, to: b) }
            _ = try backend.matmul(
              try backend.zeros([m, k]), b, MatmulOptions(transposeB: transposed, roundsOperands: rounds))
          }
        }
      }
    }

    /// A record decides what runs, unless somebody names a form; a file that is none is refused.
    @Test(arguments: Devices.all)
    func aRecordIsFollowed(_ device: OpenCLDevice) throws {
      let folder = NSTemporaryDirectory() + "tuning-\(UUID().uuidString)"
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let options = OpenCLOptions(cacheFolder: folder)
      #expect(try OpenCLBackend(device: device, options: options).variants == KernelVariants(.suited(to: device)))
      var variants = KernelVariants(.plain)
      variants.attention = .suited(to: device)
      let record = TuningRecord(
        device: device, variants: variants, milliseconds: [.products: [.plain: 1], .rows: [.plain: 2]])
      try record.write(for: device, in: folder)
      #expect(try TuningRecord.read(device, in: folder) == record)
      let tuned = try OpenCLBackend(device: device, options: options)
      #expect(tuned.variants == variants)
      try tuned.selfTest()
      let named = OpenCLOptions(variant: .plain, cacheFolder: folder)
      #expect(try OpenCLBackend(device: device, options: named).variants == KernelVariants(.plain))
      try Data("{}".utf8).write(to: URL(fileURLWithPath: TuningRecord.path(of: device, in: folder)))
      #expect(throws: ComputeError.self) { try OpenCLBackend(device: device, options: options) }
      #expect(try TuningRecord.remove(device, in: folder))
      #expect(try !TuningRecord.remove(device, in: folder))
    }

    @Test(arguments: Devices.backends)
    func whatIsBuiltIsListed(_ device: TestBackend) throws {
      let backend = device.backend
      try multiply(backend)
      try backend.selfTest()
      let listed = Set(backend.variants.all.flatMap(ProgramKey.all))
      for key in backend.programs.keys where !key.file.hasPrefix("attention_") || key == .plainAttention {
        #expect(listed.contains(key), "\(key) is not among the parameter sets")
      }
    }

    @Test(arguments: Devices.backends)
    func equalCallsAddNoObjects(_ device: TestBackend) throws {
      let backend = device.backend
      try multiply(backend)
      backend.releaseUnusedMemory()
      let before = try backend.liveObjects()
      #expect(before.idleBlocks == 0)
      try multiply(backend)
      backend.releaseUnusedMemory()
      var after = try backend.liveObjects()
      // Rusticl lets go of the context late.
      after.contextReferences = before.contextReferences
      #expect(after == before)
      let tensor = try backend.zeros([5])
      #expect(try backend.liveObjects().buffers == before.buffers + 1)
      _ = try backend.values(tensor)
    }

    @Test func programsAreBuiltAndFailuresReported() throws {
      let folder = FileManager.default.temporaryDirectory.path + "/" + UUID().uuidString
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(atPath: folder) }
      for name in KernelLibrary.names {
        let text = try String(decoding: #require(KernelLibrary().text(name)), as: UTF8.self)
        let broken = name == "columns.cl" ? text + "\nthis is no kernel" : text
        try broken.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
      }
      let backend = try OpenCLBackend(
        device: try #require(Devices.all.first),
        options: OpenCLOptions(variant: .plain, cacheFolder: nil, kernelFolder: folder))
      let before = try backend.liveObjects()
      var seen = 0
      let builds = backend.buildEveryProgram { _ in seen += 1 }
      #expect(seen == ParameterSet.of(.plain).count && builds.count == seen)
      let failed = builds.filter { $0.failure != nil }
      #expect(failed.count == 1 && failed.first?.name.contains("columns.cl") == true)
      #expect(builds.contains { $0.kernels.contains("attention_inner") })
      var after = try backend.liveObjects()
      // Rusticl lets go of the context late.
      after.contextReferences = before.contextReferences
      #expect(after == before)
    }

    /// A device that says it has tensor cores and has none: it is used without them, and says so.
    @Test func tensorCoresThatFailAreNotUsed() throws {
      var device = try #require(Devices.all.first { KernelVariant.gpu.obstacle(on: $0) == nil })
      let sets = ParameterSet.of(.gpu).filter { $0.file == "matmul_tensor.cl" }
      let honest = try OpenCLBackend(device: device, options: OpenCLOptions(variant: .gpu))
      guard !honest.usesTensorCores else { return }
      let builds = honest.buildEveryProgram(sets)
      #expect(builds.count == sets.filter { !$0.needsTensorCores }.count && builds.count == 4)
      #expect(builds.allSatisfy { $0.failure == nil && $0.kernels == ["matmul_tensor"] })

      (device.kind, device.computeCapability) = (.gpu, 8)
      let options = OpenCLOptions(variant: .gpu, cacheFolder: nil)
      let backend = try OpenCLBackend(device: device, options: options)
      #expect(backend.usesTensorCores)
      #expect(throws: ComputeError.self) { try backend.selfTest() }
      var notices: [String] = []
      let tested = try OpenCLBackend.tested(device, options) { notices.append($0) }
      #expect(!tested.usesTensorCores)
      #expect(notices.count == 1 && notices[0].contains("tensor cores are not used") && !notices[0].contains("\n"))
    }

    @Test(arguments: [KernelVariant.cpu, .gpu, .plain])
    func exactBuffersHoldWhatTheyShould(_ variant: KernelVariant) throws {
      let device = try #require(Devices.all.first)
      guard variant.reasonToSkip(on: device) == nil else { return }
      let backend = try OpenCLBackend(device: device, options: OpenCLOptions(variant: variant, exactBuffers: true))
      let tensor = try backend.allocate([7], .f32)
      #expect(backend.memory.current == 28)
      #expect(try backend.values(tensor).allSatisfy(\.isNaN))
      let part = Tensor(storage: tensor.storage, offset: 2, shape: [3], dtype: .f32)
      try backend.fill(part, with: 1)
      try backend.copy(try backend.tensor([5], [1]), to: Tensor(storage: tensor.storage, shape: [1], dtype: .f32))
      let values = try backend.values(tensor)
      #expect(values[0] == 5 && values[2...4].allSatisfy { $0 == 1 })
      #expect(values[1].isNaN && values[5].isNaN && values[6].isNaN)
      try backend.selfTest()
      #expect(backend.memory.pooled == 0)
    }

    @Test func largeTilesComputeTheSame() throws {
      let device = try #require(Devices.all.first { KernelVariant.gpu.obstacle(on: $0) == nil })
      var random = Random(77)
      let (m, n, k) = (131, 70, 19)
      let (a, b) = (random.floats(m * k), random.floats(k * n))
      let backend = try OpenCLBackend(device: device, options: OpenCLOptions(variant: .gpu, prefersLargeTiles: true))
      let product = try backend.matmul(try backend.tensor(a, [m, k]), try backend.tensor(b, [k, n]))
      #expect(backend.programs.keys.contains { $0.parameters["CHUNKS"] == 2 })
      let expected = (0..<m * n).map { index in
        (0..<k).reduce(0.0) { $0 + Double(a[index / n * k + $1]) * Double(b[$1 * n + index % n]) }
      }
      expectClose(try backend.values(product), expected, absolute: 2e-5, "matmul in large tiles")
    }

    @Test func everyUnusableDeviceHasAReason() throws {
      let usable = Set(try OpenCLDevices.list().map(\.id))
      for device in try OpenCLDevices.unusable() {
        #expect(!device.reason.isEmpty && !device.reason.contains("\n") && !usable.contains(device.id))
      }
    }
  }
}
