// The page's scripts and their tests: ESLint's recommended rules.
import js from '@eslint/js';
import globals from 'globals';

export default [
  {ignores: ['build/', 'dist/', 'runs/', 'out/', '.*/', 'shared/']},
  js.configs.recommended,
  {files: ['segdemo/**/*.js'], languageOptions: {globals: globals.browser}},
  {files: ['segdemo/ui/first.js'], languageOptions: {sourceType: 'script', globals: {SEGDEMO: 'readonly'}}},
  {files: ['tests/**/*.js', 'eslint.config.js'], languageOptions: {globals: globals.node}},
  {rules: {eqeqeq: 'error', 'no-var': 'error', 'prefer-const': 'error'}},
];
