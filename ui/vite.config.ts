import { existsSync, readFileSync } from 'node:fs'
import { defineConfig, type Plugin } from 'vite'

// licences writes those of the packages that went into the page beside it: whoever passes the page on passes them on, too.
const licences: Plugin = {
  name: 'licences',
  generateBundle(_, bundle) {
    const packages = new Set<string>()
    for (const chunk of Object.values(bundle)) {
      if (chunk.type !== 'chunk') continue
      for (const id of chunk.moduleIds) {
        const found = /^.*\/node_modules\/(@[^/]+\/)?[^/]+/.exec(id)
        if (found) packages.add(found[0])
      }
    }
    const texts = [...packages].sort().map((dir) => {
      const { name, version } = JSON.parse(readFileSync(dir + '/package.json', 'utf8')) as { name: string; version: string }
      const file = ['LICENSE', 'LICENSE.md', 'LICENCE'].map((f) => dir + '/' + f).find((f) => existsSync(f))
      if (!file) throw new Error(name + ' has no licence')
      return `${name} ${version}\n\n${readFileSync(file, 'utf8').trim()}\n`
    })
    this.emitFile({ type: 'asset', fileName: 'ui/licences.txt', source: texts.join('\n' + '-'.repeat(80) + '\n\n') })
  },
}

// The names are fixed: the daemon sends each file with an ETag, and a change of the page is a change of these files in git.
export default defineConfig({
  base: '/',
  publicDir: false,
  plugins: [licences],
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
  build: {
    target: 'es2022',
    outDir: 'dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: false,
    reportCompressedSize: false,
    rollupOptions: {
      output: { entryFileNames: 'ui/app.js', chunkFileNames: 'ui/[name].js', assetFileNames: 'ui/app[extname]' },
    },
  },
  // For work on the page: npm run dev beside a daemon on its usual address.
  server: { proxy: { '/v1': { target: 'http://127.0.0.1:8080', changeOrigin: true }, '/version': 'http://127.0.0.1:8080' } },
})
