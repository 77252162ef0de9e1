import COpenCL
import Compute
import Foundation
import Kernels
import Testing

@testable import OpenCLBackend

@Suite struct Descriptions {
  @Test func errorsHaveNames() {
    #expect(OpenCLStatus.name(CL_MEM_OBJECT_ALLOCATION_FAILURE) == "CL_MEM_OBJECT_ALLOCATION_FAILURE")
    #expect(OpenCLStatus.name(CL_INVALID_WORK_GROUP_SIZE) == "CL_INVALID_WORK_GROUP_SIZE")
    #expect(OpenCLStatus.name(-9999) == "code -9999")
  }

  @Test func choicesOfTheEnvironmentAreNamedOrRefused() throws {
    func dot(_ word: String?) throws -> Bool? {
      try OpenCLOptions.dotProductsFromEnvironment(word.map { ["SOFTPROMPT_DOT": $0] } ?? [:])
    }
    #expect(try dot(nil) == nil && dot("") == nil && dot("on") == true && dot("off") == false)
    for word in ["no", "OFF", "0"] {
      let error = #expect(throws: ComputeError.self) { _ = try dot(word) }
      #expect(error.map { "\($0)".contains("SOFTPROMPT_DOT") && "\($0)".contains("`\(word)`") } == true)
    }
  }

  @Test func kernelsIncludeOneAnotherOnce() throws {
    let source = try KernelLibrary().source("softmax.cl")
    #expect(!source.contains("#include"))
    #expect(source.components(separatedBy: "typedef float16 vec;").count == 2)
    #expect(throws: KernelLibrary.MissingKernel.self) { try KernelLibrary().source("nothing.cl") }
  }
}

extension OnDevice {
  @Suite struct Backend {
    static let device = Devices.all.first

    private func folder() throws -> String {
      let path = FileManager.default.temporaryDirectory.path + "/" + UUID().uuidString
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      return path
    }

    private func open(_ options: OpenCLOptions = OpenCLOptions()) throws -> OpenCLBackend {
      try OpenCLBackend(device: try #require(Self.device), options: options)
    }

    @Test(arguments: Devices.backends)
    func passesItsSelfTest(_ device: TestBackend) throws { try device.backend.selfTest() }

    @Test func aWrongKernelFailsTheSelfTest() throws {
      let kernels = try folder()
      defer { try? FileManager.default.removeItem(atPath: kernels) }
      for name in KernelLibrary.names {
        var source = try String(decoding: #require(KernelLibrary().text(name)), as: UTF8.self)
        if name == "softmax.cl" {
          source = source.replacingOccurrences(of: "1.0f / total", with: "1.01f / total")
        }
        try source.write(toFile: "\(kernels)/\(name)", atomically: true, encoding: .utf8)
      }
      let backend = try open(OpenCLOptions(cacheFolder: nil, kernelFolder: kernels))
      let error = #expect(throws: ComputeError.self) { try backend.selfTest() }
      #expect("\(try #require(error))".contains("SELF_TEST in softmax"))
    }

    @Test func aBrokenKernelIsABuildFailureWithTheLog() throws {
      let kernels = try folder()
      defer { try? FileManager.default.removeItem(atPath: kernels) }
      try "__kernel void scale( { nonsense }".write(
        toFile: kernels + "/elementwise.cl", atomically: true, encoding: .utf8)
      let backend = try open(OpenCLOptions(cacheFolder: nil, kernelFolder: kernels))
      let x = try backend.tensor([1], [1])
      let error = #expect(throws: ComputeError.self) { try backend.scale(x, by: 2) }
      guard case .buildFailure(_, "elementwise.cl", let log) = error else {
        Issue.record("not a build failure: \(String(describing: error))")
        return
      }
      #expect(log.contains("error"))
    }

    @Test func driverErrorsAreNamedWithKernelAndSizes() throws {
      let backend = try open()
      let x = try backend.tensor([1], [1])
      let error = #expect(throws: ComputeError.self) {
        try backend.run(
          backend.lanesProgram("elementwise.cl"), "scale", groups: [1], local: [1 << 30],
          [.tensor(x), .float(1), .tensor(x), .size(1)])
      }
      guard case .deviceFailure(_, let code, "scale", let detail) = error else {
        Issue.record("not a device failure: \(String(describing: error))")
        return
      }
      #expect(code.hasPrefix("CL_INVALID_WORK") && detail.contains("\(1 << 30)"))
    }

    @Test func tooLargeAnAllocationIsTyped() throws {
      let backend = try open()
      let error = #expect(throws: ComputeError.self) { try backend.allocate([1 << 40], .f32) }
      guard case .outOfMemory(_, requested: 1 << 42, _) = error else {
        Issue.record("not out of memory: \(String(describing: error))")
        return
      }
    }

    @Test func programsComeFromTheCacheUnlessItIsCorrupt() throws {
      let cache = try folder()
      defer { try? FileManager.default.removeItem(atPath: cache) }
      func run() throws -> (built: Int, loaded: Int) {
        let backend = try open(OpenCLOptions(cacheFolder: cache + "/new"))
        let doubled = try backend.values(try backend.scale(try backend.tensor([1, 2, 3], [3]), by: 2))
        #expect(doubled == [2, 4, 6])
        return (backend.programs.built, backend.programs.loaded)
      }
      #expect(try run() == (1, 0))
      #expect(try run() == (0, 1))
      let files = try FileManager.default.contentsOfDirectory(atPath: cache + "/new")
      #expect(files.count == 1 && files.allSatisfy { $0.hasSuffix(".bin") })
      let file = cache + "/new/" + files[0]
      var bytes = try Data(contentsOf: URL(fileURLWithPath: file))
      bytes[bytes.count / 2] ^= 0xFF
      try bytes.write(to: URL(fileURLWithPath: file))
      #expect(try run() == (1, 0))
      #expect(try run() == (0, 1))
      try bytes.prefix(10).write(to: URL(fileURLWithPath: file))
      #expect(try run() == (1, 0))
      let unusable = try open(OpenCLOptions(cacheFolder: "/dev/null/none"))
      #expect(try unusable.values(try unusable.scale(try unusable.tensor([4], [1]), by: 2)) == [8])
    }

    /// Tensors lie side by side in one buffer of the driver: what is done to one leaves the others as they are.
    @Test func neighboursAreLeftAlone() throws {
      let backend = try open()
      var random = Random(5)
      let sizes = (0..<40).map { 1 + $0 * 7 % 150 }
      let values = sizes.map { random.floats($0) }
      var tensors: [Tensor?] = try zip(sizes, values).map { try backend.tensor($1, [$0]) }
      var expected = values
      for place in stride(from: 0, to: 36, by: 4) {
        let (filled, copied) = (try #require(tensors[place]), try #require(tensors[place + 1]))
        try backend.fill(filled, with: Float(place))
        expected[place] = Array(repeating: Float(place), count: sizes[place])
        let part = Tensor(storage: copied.storage, offset: copied.count - 1, shape: [1], dtype: .f32)
        try backend.copy(Tensor(storage: filled.storage, shape: [1], dtype: .f32), to: part)
        expected[place + 1][copied.count - 1] = Float(place)
        // Its place is taken by another one.
        tensors[place + 2] = nil
        expected[place + 2] = random.floats(sizes[place + 2])
        tensors[place + 2] = try backend.tensor(expected[place + 2], [sizes[place + 2]])
      }
      for (place, tensor) in tensors.enumerated() {
        #expect(try backend.values(try #require(tensor)) == expected[place], "tensor \(place)")
      }
    }

    @Test func memoryReturnsToThePool() throws {
      let backend = try open()
      var random = Random(1)
      let (x, w) = (random.floats(100 * 64), random.floats(64 * 96))
      func step() throws {
        let weight = try backend.tensor(w, [64, 96])
        let y = try backend.matmul(try backend.tensor(x, [100, 64]), weight, MatmulOptions(frozen: true))
        _ = try backend.matmulBackwardA(y, weight, MatmulOptions(frozen: true))
        _ = try backend.softmax(y)
      }
      try step()
      let after = backend.memory
      #expect(after.current == 0 && after.pooled > 0)
      for _ in 0..<20 { try step() }
      #expect(backend.memory.current == 0 && backend.memory.pooled == after.pooled)
      #expect(backend.memory.peak == after.peak)
      backend.releaseUnusedMemory()
      #expect(backend.memory.pooled == 0)
      let tensor = try backend.allocate([1000], .f32)
      #expect(backend.memory.current >= 4000)
      _ = tensor
    }

    @Test func writingAFrozenWeightForgetsItsPack() throws {
      let backend = try open()
      let a = try backend.tensor([Float](repeating: 1, count: 40), [20, 2])
      let b = try backend.tensor([1, 2], [2, 1])
      let options = MatmulOptions(frozen: true)
      #expect(try backend.values(try backend.matmul(a, b, options))[0] == 3)
      try [Float](arrayLiteral: 10, 20).withUnsafeBytes { try backend.write($0, to: b) }
      #expect(try backend.values(try backend.matmul(a, b, options))[0] == 30)
    }
  }
}
